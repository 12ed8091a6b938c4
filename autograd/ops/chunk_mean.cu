#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/chunk_mean.h"

namespace tapestry::cuda {

template <class T>
void chunk_mean_forward(const ChunkMeanShape& shape, const T* x, T* y) {
  const ChunkMeanShape s = shape;
  for_each_index("chunk_mean_forward", s.batch * s.chunks * s.width, [=] __device__(int64_t i) {
    const int64_t chunk = i / s.width;
    const T* from = x + (chunk / s.chunks * s.tokens + chunk % s.chunks * s.chunk) * s.width + i % s.width;
    T sum = 0;
    for (int64_t row = 0; row < s.chunk; ++row) sum += from[row * s.width];
    y[i] = sum / static_cast<T>(s.chunk);
  });
}

template <class T>
void chunk_mean_backward(const ChunkMeanShape& shape, const T* dy, T* dx, bool accumulate) {
  const ChunkMeanShape s = shape;
  for_each_index("chunk_mean_backward", s.batch * s.tokens * s.width, [=] __device__(int64_t i) {
    const int64_t row = i / s.width, j = row % s.tokens / s.chunk;
    const T* from = dy + (row / s.tokens * s.chunks + j) * s.width + i % s.width;
    put(dx[i], j < s.chunks ? *from / static_cast<T>(s.chunk) : T(0), accumulate);
  });
}

#define INSTANTIATE(T)                                                   \
  template void chunk_mean_forward(const ChunkMeanShape&, const T*, T*); \
  template void chunk_mean_backward(const ChunkMeanShape&, const T*, T*, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
