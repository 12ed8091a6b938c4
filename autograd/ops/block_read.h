#pragma once

#include "autograd/ops/block_select.h"

namespace tapestry {

/// What a read of the selected blocks takes: tensors as RetrievalShape says, `blocks` and `scores` from
/// select_blocks. A score times its head's gain is added to the scores of the block's keys, or takes the
/// place of their mean where the shape is hierarchical.
template <class T>
struct BlockRead {
  const T *q, *k, *v;
  const int32_t* blocks;
  const T* scores;  // null: nothing is added
  const T* gain;    // [n_head]; null: 1

  constexpr T gain_of(int64_t head) const { return gain ? gain[head] : T(1); }
};

/// What the gradient takes and adds to. D_t = do_t.o_t by head.
template <class T>
struct BlockReadGradient {
  const T *r = nullptr, *h = nullptr;
  const T *lse = nullptr, *D = nullptr, *dout = nullptr;
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;
  T *dr = nullptr, *dh = nullptr;  // without scores r, h, dr and dh are not used
  T* dgain = nullptr;              // without gain not used
};

namespace cpu {
/// Merges the keys of the selected blocks that are not local into the retrieving heads' softmax over the
/// local ones, given by its output o [batch, tokens, width] and lse [batch, n_head, tokens]. Tiles have a
/// fixed height, so that no bit of a token depends on a later one.
template <class T>
void block_read_forward(const RetrievalShape& shape, const BlockRead<T>& in, T* o, T* lse);
/// Adds the gradient through the selected keys, except for dgain, which is assigned, 0 where a head does not
/// retrieve. Each row is written in a fixed order.
template <class T>
void block_read_backward(const RetrievalShape& shape, const BlockRead<T>& in,
                         const BlockReadGradient<T>& grad);
}  // namespace cpu
namespace cuda {
template <class T>
void block_read_forward(const RetrievalShape& shape, const BlockRead<T>& in, T* o, T* lse);
template <class T>
void block_read_backward(const RetrievalShape& shape, const BlockRead<T>& in,
                         const BlockReadGradient<T>& grad);
}  // namespace cuda

}  // namespace tapestry
