#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// The state of each finished chunk and head, F_j = scale sum_{i in chunk j} k_i^T v_i (row = key):
/// k [B, T, H d], v [B, T, H e] -> [B, H, N, d, e], N = finished_chunks(T, chunk) >= 1. ATTENTION
/// section 7.1; with ones for v [B, T, H] it is z_j. Saves k and v.
Tensor chunk_states(const Tensor& k, const Tensor& v, int64_t n_head, int64_t chunk, double scale = 1);

}  // namespace tapestry
