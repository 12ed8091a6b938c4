#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/divide_heads.h"

namespace tapestry::cuda {
namespace {

/// 1 / (den + eps), or 0 where nothing was read.
template <class T>
__device__ T inverse(T den, T eps) {
  const T sum = den + eps;
  return sum == 0 ? T(0) : 1 / sum;
}

}  // namespace

template <class T>
void divide_heads(const T* x, const T* den, T* y, int64_t pieces, int64_t head_width, double eps,
                  bool accumulate) {
  const T small = static_cast<T>(eps);
  for_each_index("divide_heads", pieces * head_width, [=] __device__(int64_t i) {
    put(y[i], x[i] * inverse(den[i / head_width], small), accumulate);
  });
}

template <class T>
void divide_heads_denominator(const T* y, const T* den, const T* dy, T* dden, int64_t pieces,
                              int64_t head_width, double eps, bool accumulate) {
  const T small = static_cast<T>(eps);
  for_each_row("divide_heads_denominator", pieces, head_width, [=] __device__(int64_t piece) {
    const T *a = y + piece * head_width, *b = dy + piece * head_width;
    const T dot = block_sum<T>(head_width, [=](int64_t i) { return a[i] * b[i]; });
    if (threadIdx.x == 0) put(dden[piece], -dot * inverse(den[piece], small), accumulate);
  });
}

#define INSTANTIATE(T)                                                                \
  template void divide_heads(const T*, const T*, T*, int64_t, int64_t, double, bool); \
  template void divide_heads_denominator(const T*, const T*, const T*, T*, int64_t, int64_t, double, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
