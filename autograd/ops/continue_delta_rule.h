#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// The delta rule from a given state on: q, k [1, T, H d], v [1, T, H e], beta [1, T, H] -> [1, T, H e], as
/// delta_rule does it for one chunk (ATTENTION 4.a and 4.b). state [H, d, e] takes the tokens in. Work and
/// memory grow with T^2: give long texts in pieces. Not recorded.
Tensor continue_delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta,
                           double scale, Tensor& state);

}  // namespace tapestry
