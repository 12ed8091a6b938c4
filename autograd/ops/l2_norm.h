#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Pieces of `width` numbers divided by their length, y = z / sqrt(|z|^2 + eps) (ATTENTION section 0.2):
/// x [..., G width] -> the same. A piece far shorter than sqrt(eps) stays short.
Tensor l2_norm(const Tensor& x, int64_t width, double eps);

}  // namespace tapestry
