#include "autograd/ops/softmax.h"

#include <algorithm>

#include "autograd/math.h"
#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {

Tensor softmax(const Tensor& x) {
  require(x.rank() >= 1, "softmax needs an axis");
  const int64_t rows = x.shape().rows(), n = x.dim(-1);
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), softmax_forward<T>(x.data<T>(), y.mutable_data<T>(), rows, n));
  });
  record("softmax", {x}, y, {y}, [rows, n](BackwardStep& step) {
    const Tensor &y = step.saved(0), &dy = step.gradient();
    Destination dx = step.into(0);
    for_float(y.dtype(), [&]<class T>(T) {
      LAUNCH(y.device(),
             softmax_backward<T>(y.data<T>(), dy.data<T>(), dx.data<T>(), rows, n, dx.accumulate));
    });
  });
  return y;
}

namespace cpu {

template <class T>
void softmax_forward(const T* x, T* y, int64_t rows, int64_t n) {
  parallel_for(rows, ceil_div(kElementGrain, n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x + row * n;
      T* out = y + row * n;
      const T largest = *std::max_element(in, in + n);
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < n; ++i) sum += out[i] = fast_exp(in[i] - largest);
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] /= sum;
    }
  });
}

template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t rows, int64_t n, bool accumulate) {
  parallel_for(rows, ceil_div(kElementGrain, n), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *p = y + row * n, *dp = dy + row * n;
      T* out = dx + row * n;
      T dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < n; ++i) dot += p[i] * dp[i];
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = (accumulate ? out[i] : T(0)) + p[i] * (dp[i] - dot);
    }
  });
}

template void softmax_forward(const float*, float*, int64_t, int64_t);
template void softmax_forward(const double*, double*, int64_t, int64_t);
template void softmax_backward(const float*, const float*, float*, int64_t, int64_t, bool);
template void softmax_backward(const double*, const double*, double*, int64_t, int64_t, bool);

}  // namespace cpu
}  // namespace tapestry
