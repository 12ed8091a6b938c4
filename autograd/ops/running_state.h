#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// A matrix state of one sequence that takes tokens in as they come, state [H, d, e] (row = key), and what
/// tokens read of it: q, k [1, T, H d], v, y [1, T, H e]. Not recorded.

/// state += scale sum_t k_t^T v_t by head.
void add_to_state(const Tensor& k, const Tensor& v, double scale, Tensor& state);
/// y_t += scale q_t state.
void add_state_read(const Tensor& q, const Tensor& state, double scale, Tensor& y);

/// The same for states of chunks, a row for each, [N, H d e].

/// The states of the N = floor(T / chunk) whole chunks, each scale sum_t k_t^T v_t over its tokens.
Tensor states_of_chunks(const Tensor& k, const Tensor& v, int64_t n_head, int64_t chunk, double scale);
/// y_t = scale q_t S_n for the tokens of chunk n, the last of the N = ceil(T / chunk) may be ragged -> [1, T,
/// H e].
Tensor read_by_chunk(const Tensor& q, const Tensor& states, int64_t n_head, int64_t chunk, double scale = 1);

}  // namespace tapestry
