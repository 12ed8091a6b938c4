#pragma once

#include "autograd/ops/chunk_read.h"
#include "autograd/tensor.h"

namespace tapestry {

/// The delta rule by head (ATTENTION section 4): a state that corrects what it holds for a key,
///   S_t = S_{t-1} + k_t^T delta_t,  delta_t = beta_t (v_t - k_t S_{t-1}),  o_t = scale q_t S_t,  S_{-1} = 0:
/// q, k [B, T, H d], v [B, T, H e], beta [B, T, H] -> [B, T, H e]. Keys of norm at most 1 and beta in [0, 2]
/// keep it stable. The result does not depend on `chunk`; memory is linear in T. Saves its inputs, delta and
/// one state [d, e] a chunk.
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta, int64_t n_head,
                  int64_t chunk, double scale);

/// Rows and states lie as ChunkRead says, w as k, u and delta as v.
namespace cpu {
/// What makes delta = u - w S in each chunk, (I + A) w = diag(beta) k and (I + A) u = diag(beta) v with
/// A = tril(diag(beta) k k^T, -1) (section 4.2). u may be null.
template <class T>
void delta_transitions(const ChunkRead& read, const T* k, const T* v, const T* beta, T* w, T* u);
/// Chunk after chunk u becomes delta, and states receives S_n in place n - 1.
template <class T>
void delta_scan(const ChunkRead& read, const T* k, const T* w, T* u, T* states);
/// Backwards chunk after chunk: ddelta [as delta] comes with what the chunk itself reads of delta, dstates
/// with what chunk n reads of S_n in place n - 1; they become the whole gradients, of S_n after chunk n - 1.
template <class T>
void delta_scan_backward(const ChunkRead& read, const T* k, const T* w, T* ddelta, T* dstates);
/// From the gradient of delta in dv to that of v, and dk += through delta.
template <class T>
void delta_backward(const ChunkRead& read, const ChunkReadInput<T>& in, const T* beta, const T* delta, T* dk,
                    T* dv, T* dbeta);
}  // namespace cpu
namespace cuda {
template <class T>
void delta_transitions(const ChunkRead& read, const T* k, const T* v, const T* beta, T* w, T* u);
template <class T>
void delta_scan(const ChunkRead& read, const T* k, const T* w, T* u, T* states);
template <class T>
void delta_scan_backward(const ChunkRead& read, const T* k, const T* w, T* ddelta, T* dstates);
template <class T>
void delta_backward(const ChunkRead& read, const ChunkReadInput<T>& in, const T* beta, const T* delta, T* dk,
                    T* dv, T* dbeta);
}  // namespace cuda

}  // namespace tapestry
