#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// A matrix state of one sequence that takes tokens in as they come, state [H, d, e] (row = key), and what
/// tokens read of it: q, k [1, T, H d], v, y [1, T, H e]. Not recorded.

/// state += scale sum_t k_t^T v_t by head.
void add_to_state(const Tensor& k, const Tensor& v, double scale, Tensor& state);
/// y_t = scale q_t state by head.
Tensor read_state(const Tensor& q, const Tensor& state, double scale = 1);
/// y_t += scale q_t state.
void add_state_read(const Tensor& q, const Tensor& state, double scale, Tensor& y);

}  // namespace tapestry
