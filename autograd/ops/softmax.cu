#include "autograd/cuda/kernel.cuh"
#include "autograd/math.h"
#include "autograd/ops/softmax.h"

namespace tapestry::cuda {

template <class T>
void softmax_forward(const T* x, T* y, int64_t rows, int64_t n) {
  for_each_row("softmax_forward", rows, n, [=] __device__(int64_t row) {
    const T* in = x + row * n;
    T* out = y + row * n;
    const T largest = block_reduce_row(
        n, -std::numeric_limits<T>::infinity(), [=](int64_t i) { return in[i]; }, Max{});
    const T sum = block_sum<T>(n, [=](int64_t i) { return fast_exp(in[i] - largest); });
    block_for(n, [=](int64_t i) { out[i] = fast_exp(in[i] - largest) / sum; });
  });
}

template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t rows, int64_t n, bool accumulate) {
  for_each_row("softmax_backward", rows, n, [=] __device__(int64_t row) {
    const T *p = y + row * n, *dp = dy + row * n;
    const T dot = block_sum<T>(n, [=](int64_t i) { return p[i] * dp[i]; });
    block_for(n, [=](int64_t i) { put(dx[row * n + i], p[i] * (dp[i] - dot), accumulate); });
  });
}

#define INSTANTIATE(T)                                           \
  template void softmax_forward(const T*, T*, int64_t, int64_t); \
  template void softmax_backward(const T*, const T*, T*, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
