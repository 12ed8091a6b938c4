#include "autograd/ops/unary.h"

#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

template <class F>
Tensor unary(const char* name, const Tensor& x) {
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), unary_forward<F, T>(x.data<T>(), y.mutable_data<T>(), x.size()));
  });
  record(name, {x}, y, {x}, [](BackwardStep& step) {
    const Tensor& x = step.saved(0);
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(x.dtype(), [&]<class T>(T) {
      LAUNCH(x.device(),
             unary_backward<F, T>(x.data<T>(), dy.data<T>(), dx.data<T>(), x.size(), dx.accumulate));
    });
  });
  return y;
}

}  // namespace

Tensor gelu(const Tensor& x) { return unary<GeluTanh>("gelu", x); }
Tensor gelu_exact(const Tensor& x) { return unary<GeluExact>("gelu_exact", x); }
Tensor silu(const Tensor& x) { return unary<Silu>("silu", x); }
Tensor sigmoid(const Tensor& x) { return unary<Sigmoid>("sigmoid", x); }
Tensor relu2(const Tensor& x) { return unary<Relu2>("relu2", x); }
Tensor elu1(const Tensor& x) { return unary<Elu1>("elu1", x); }

namespace cpu {

template <class F, class T>
void unary_forward(const T* x, T* y, int64_t n) {
  parallel_for(n, kElementGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = F::value(x[i]);
  });
}

template <class F, class T>
void unary_backward(const T* x, const T* dy, T* dx, int64_t n, bool accumulate) {
  parallel_for(n, kElementGrain, [=](int64_t begin, int64_t end) {
    if (accumulate) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dx[i] += dy[i] * F::derivative(x[i]);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dx[i] = dy[i] * F::derivative(x[i]);
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
