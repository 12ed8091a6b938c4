#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Every token reads the state of its chunk, u_t = scale q_t S_n for t in chunk n >= 1, and exactly 0 in
/// chunk 0: q [B, T, H d], states [B, H, N, d, e] (S_n in place n - 1), N = finished_chunks(T, chunk) >= 1
/// -> [B, T, H e]. ATTENTION section 7.1. Saves q and states.
Tensor read_states(const Tensor& q, const Tensor& states, int64_t chunk, double scale = 1);

}  // namespace tapestry
