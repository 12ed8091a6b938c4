#pragma once

#include "autograd/ops/chunks.h"

namespace tapestry {

/// What linear attention and the delta rule share, by chunks of tokens (ATTENTION sections 3.2 and 4.2): a
/// token reads the state before its chunk n, and the keys and values of its chunk up to itself,
///   y_t = scale (q_t S_n + sum_i (q_t.k_i) v_i),  S_0 = 0.
/// q and k are [B, T, H d], v and y [B, T, H e], states [B, H, N, d, e] with S_n in place n - 1.
struct ChunkRead {
  ChunkGrid grid;
  int64_t d, e;
  double scale;
};

template <class T>
struct ChunkReadInput {
  const T *q, *k, *v, *states;
  const T* sums = nullptr;  // [B, H, N, d]: what the states are when all values are 1; null: no denominators
};

/// Gradients by what a read made. That of the state after chunk n lies in place n; after the last it is 0.
template <class T>
struct ChunkReadGradient {
  const T *dy, *dstates;
  const T *dden = nullptr, *dsums = nullptr;  // null without denominators
};

namespace cpu {
/// den [B, T, H] receives y for values of 1, if there are sums.
template <class T>
void chunk_read_forward(const ChunkRead& read, const ChunkReadInput<T>& in, T* y, T* den);
/// dv_i = scale sum_t (q_t.k_i) dy_t + k_i dS, over t >= i of the chunk; without dstates the first part
/// alone.
template <class T>
void chunk_read_values(const ChunkRead& read, const T* q, const T* k, const T* dy, const T* dstates, T* dv);
/// dq_t = scale (dy_t S^T + sum_i (dy_t.v_i) k_i) and dk_i = scale sum_t (dy_t.v_i) q_t + v_i dS^T, and the
/// same through the denominators.
template <class T>
void chunk_read_keys(const ChunkRead& read, const ChunkReadInput<T>& in, const ChunkReadGradient<T>& gradient,
                     T* dq, T* dk);
}  // namespace cpu
namespace cuda {
template <class T>
void chunk_read_forward(const ChunkRead& read, const ChunkReadInput<T>& in, T* y, T* den);
template <class T>
void chunk_read_values(const ChunkRead& read, const T* q, const T* k, const T* dy, const T* dstates, T* dv);
template <class T>
void chunk_read_keys(const ChunkRead& read, const ChunkReadInput<T>& in, const ChunkReadGradient<T>& gradient,
                     T* dq, T* dk);
}  // namespace cuda

}  // namespace tapestry
