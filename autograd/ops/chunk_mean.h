#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Means over the finished chunks, those that a later token can read: x [B, T, C] -> [B, N, C],
/// N = floor((T - 1) / chunk). Saves nothing.
Tensor chunk_mean(const Tensor& x, int64_t chunk);

/// x is [batch, tokens, width], its means [batch, chunks, width].
struct ChunkMeanShape {
  int64_t batch, tokens, width;
  int64_t chunk, chunks;
};

namespace cpu {
template <class T>
void chunk_mean_forward(const ChunkMeanShape& shape, const T* x, T* y);
/// dx (+)= dy / chunk in the tokens of finished chunks, (+)= 0 in the others.
template <class T>
void chunk_mean_backward(const ChunkMeanShape& shape, const T* dy, T* dx, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void chunk_mean_forward(const ChunkMeanShape& shape, const T* x, T* y);
template <class T>
void chunk_mean_backward(const ChunkMeanShape& shape, const T* dy, T* dx, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
