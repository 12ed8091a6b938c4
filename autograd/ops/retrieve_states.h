#pragma once

#include <limits>

#include "autograd/tensor.h"

namespace tapestry {

constexpr int64_t retrieve_all = std::numeric_limits<int64_t>::max();

/// For each chunk n = 1..N and head the mixture of the states of earlier chunks, S_n = sum_{j<n} p_nj F_j
/// with p_n = softmax over the `topk` earlier chunks of largest score s_nj = scale r_n.h_j: r [B, N, C]
/// (chunk n in row n - 1), h [B, N, C], states [B, H, N, ...] -> the shape of states, S_n in place n - 1.
/// Chunks are picked by s_nj + 1e-5 j, so that ties, and what rounding makes of them, go to the later one;
/// the choice is constant for the gradient (ATTENTION sections 7.1 and 7.2). The scores [N, N] are never held
/// whole but made by blocks of rows, and again in backward. Saves r, h and states.
Tensor retrieve_states(const Tensor& r, const Tensor& h, const Tensor& states, double scale,
                       int64_t topk = retrieve_all);

/// The next rows of that for one sequence that goes on, chunk m = 0..M-1 after `count` others: r [1, M, H d]
/// -> what each reads, [M, H size], by h [rows, H d] and states [rows, H size], which hold a row for each
/// chunk before it. Not recorded.
Tensor retrieve_next_states(const Tensor& r, const Tensor& h, const Tensor& states, int64_t count,
                            int64_t n_head, double scale, int64_t topk = retrieve_all);

/// A block of rows of the scores of all heads, [heads, rows, columns]: row i belongs to chunk first + i + 1,
/// which may read the first first + i + 1 columns.
struct ScoreBlock {
  int64_t heads, first, rows, columns;
};
namespace cpu {
/// Scores become weights in place: 0 where a chunk may not be read or was not picked.
template <class T>
void retrieval_weights(const ScoreBlock& block, T* scores, int64_t topk);
}  // namespace cpu
namespace cuda {
template <class T>
void retrieval_weights(const ScoreBlock& block, T* scores, int64_t topk);
}  // namespace cuda

}  // namespace tapestry
