#include "autograd/ops/chunk_mean.h"

#include <algorithm>

#include "autograd/ops/chunks.h"
#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {

Tensor chunk_mean(const Tensor& x, int64_t chunk) {
  require(x.rank() == 3 && x.dim(1) >= 1, "chunk_mean: x must be [B, T, C], got ", x.shape());
  require(chunk >= 1, "chunk_mean: a chunk has at least one token, got ", chunk);
  const ChunkMeanShape shape{x.dim(0), x.dim(1), x.dim(2), chunk, finished_chunks(x.dim(1), chunk)};
  Tensor y = Tensor::empty({shape.batch, shape.chunks, shape.width}, x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), chunk_mean_forward<T>(shape, x.data<T>(), y.mutable_data<T>()));
  });
  record("chunk_mean", {x}, y, {}, [shape](BackwardStep& step) {
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), chunk_mean_backward<T>(shape, dy.data<T>(), dx.data<T>(), dx.accumulate));
    });
  });
  return y;
}

namespace cpu {

template <class T>
void chunk_mean_forward(const ChunkMeanShape& s, const T* x, T* y) {
  parallel_for(s.batch * s.chunks, 1, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* rows = x + (i / s.chunks * s.tokens + i % s.chunks * s.chunk) * s.width;
      T* mean = y + i * s.width;
      std::copy(rows, rows + s.width, mean);
      for (int64_t row = 1; row < s.chunk; ++row) {
#pragma omp simd
        for (int64_t c = 0; c < s.width; ++c) mean[c] += rows[row * s.width + c];
      }
#pragma omp simd
      for (int64_t c = 0; c < s.width; ++c) mean[c] /= static_cast<T>(s.chunk);
    }
  });
}

template <class T>
void chunk_mean_backward(const ChunkMeanShape& s, const T* dy, T* dx, bool accumulate) {
  parallel_for(s.batch * s.tokens, 64, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t j = row % s.tokens / s.chunk;
      T* to = dx + row * s.width;
      if (!accumulate) std::fill(to, to + s.width, T(0));
      if (j >= s.chunks) continue;
      const T* from = dy + (row / s.tokens * s.chunks + j) * s.width;
#pragma omp simd
      for (int64_t c = 0; c < s.width; ++c) to[c] += from[c] / static_cast<T>(s.chunk);
    }
  });
}

template void chunk_mean_forward(const ChunkMeanShape&, const float*, float*);
template void chunk_mean_forward(const ChunkMeanShape&, const double*, double*);
template void chunk_mean_backward(const ChunkMeanShape&, const float*, float*, bool);
template void chunk_mean_backward(const ChunkMeanShape&, const double*, double*, bool);

}  // namespace cpu
}  // namespace tapestry
