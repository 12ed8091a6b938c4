#pragma once

#include "autograd/ops/chunks.h"
#include "autograd/tensor.h"

namespace tapestry {

/// The quadratic part of GAU (ATTENTION section 6): attention within chunks by squared positive scores in
/// place of a softmax, o_t = sum_i max(scale q_t.k_i + rel_bias[t-i], 0)^2 v_i over i <= t of t's chunk:
/// q, k [B, T, s], v [B, T, e], rel_bias [chunk] or undefined -> [B, T, e]. Tiled: never chunk x chunk. Saves
/// q, k, v and rel_bias.
Tensor relu2_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& rel_bias,
                       int64_t chunk, double scale);

/// The same for tokens of one chunk of which `past` are known: q [1, T, s] -> [1, T, e]; k [rows, s] and v
/// [rows, e] hold the chunk's tokens, the new ones included, from row `first` on. Not recorded.
struct ChunkKeys {
  const Tensor &k, &v;
  int64_t first, past;
};
Tensor continue_relu2_attention(const Tensor& q, const ChunkKeys& keys, const Tensor& rel_bias, double scale);

/// The sizes of one call: q and k are [B, T, width], v and o [B, T, value_width], bias is [chunk]; the grid
/// has one head.
struct Relu2Shape {
  ChunkGrid grid;
  int64_t width, value_width;
  double scale;
  int64_t past = 0;  // of the forward kernel with a single chunk: its tokens before the first row of q and o

  int64_t chunks() const { return grid.batch * (grid.finished() + 1); }
};

namespace cpu {
template <class T>
void relu2_attention_forward(const Relu2Shape& shape, const T* q, const T* k, const T* v, const T* bias,
                             T* o);
/// The gradients, of the bias for each chunk by itself: dbias is [chunks, chunk].
template <class T>
void relu2_attention_backward(const Relu2Shape& shape, const T* q, const T* k, const T* v, const T* bias,
                              const T* dout, T* dq, T* dk, T* dv, T* dbias);
}  // namespace cpu
namespace cuda {
template <class T>
void relu2_attention_forward(const Relu2Shape& shape, const T* q, const T* k, const T* v, const T* bias,
                             T* o);
template <class T>
void relu2_attention_backward(const Relu2Shape& shape, const T* q, const T* k, const T* v, const T* bias,
                              const T* dout, T* dq, T* dk, T* dv, T* dbias);
}  // namespace cuda

}  // namespace tapestry
