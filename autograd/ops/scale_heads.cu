#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/scale_heads.h"

namespace tapestry::cuda {

template <class T>
void scale_heads(const T* x, const T* factor, T* y, int64_t rows, int64_t n_head, int64_t head_width,
                 bool accumulate) {
  for_each_index("scale_heads", rows * n_head * head_width, [=] __device__(int64_t i) {
    put(y[i], factor[i / head_width % n_head] * x[i], accumulate);
  });
}

template <class T>
void scale_heads_sums(const T* x, const T* dy, T* dfactor, int64_t rows, int64_t n_head, int64_t head_width,
                      bool accumulate) {
  sum_rows("scale_heads_sums", rows, n_head, dfactor, accumulate, [=] __device__(int64_t piece) {
    T dot = 0;
    for (int64_t i = piece * head_width; i < (piece + 1) * head_width; ++i) dot += x[i] * dy[i];
    return dot;
  });
}

#define INSTANTIATE(T)                                                                \
  template void scale_heads(const T*, const T*, T*, int64_t, int64_t, int64_t, bool); \
  template void scale_heads_sums(const T*, const T*, T*, int64_t, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
