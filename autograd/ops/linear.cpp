#include "autograd/ops/linear.h"

#include <algorithm>

#include "autograd/gemm.h"
#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

void linear_backward(BackwardStep& step) {
  const Tensor &x = step.saved(0), &w = step.saved(1), &dy = step.gradient();
  const int64_t rows = x.shape().rows(), k = w.dim(0), n = w.dim(1);
  for_float(x.dtype(), [&]<class T>(T) {
    if (step.needs(0)) {
      Destination dx = step.into(0);
      const Gemm product{.m = rows, .n = k, .k = n, .transpose_b = true, .beta = dx.beta()};
      LAUNCH(x.device(), gemm<T>(product, dy.data<T>(), w.data<T>(), dx.data<T>()));
    }
    if (step.needs(1)) {
      Destination dw = step.into(1);
      const Gemm product{.m = k, .n = n, .k = rows, .transpose_a = true, .beta = dw.beta()};
      LAUNCH(x.device(), gemm<T>(product, x.data<T>(), dy.data<T>(), dw.data<T>()));
    }
    if (step.needs(2)) {
      Destination db = step.into(2);
      LAUNCH(x.device(), column_sum<T>(dy.data<T>(), db.data<T>(), rows, n, db.accumulate));
    }
  });
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  require(weight.rank() == 2 && x.rank() >= 1 && x.dim(-1) == weight.dim(0), "linear: x ", x.shape(),
          " against W ", weight.shape());
  require(!bias.defined() || bias.shape() == Shape{weight.dim(1)}, "linear: W ", weight.shape(),
          " against b ", bias.shape());
  const int64_t rows = x.shape().rows(), k = weight.dim(0), n = weight.dim(1);
  Tensor y = Tensor::empty(x.shape().with_last(n), x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    const T* b = bias.defined() ? bias.data<T>() : nullptr;
    LAUNCH(x.device(), linear_forward<T>(x.data<T>(), weight.data<T>(), b, y.mutable_data<T>(), rows, k, n));
  });
  record("linear", {x, weight, bias}, y, {x, weight}, linear_backward);
  return y;
}

namespace cpu {

template <class T>
void linear_forward(const T* x, const T* w, const T* b, T* y, int64_t rows, int64_t k, int64_t n) {
  if (b != nullptr) {
    parallel_for(rows, 16, [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) std::copy(b, b + n, y + row * n);
    });
  }
  gemm<T>({.m = rows, .n = n, .k = k, .beta = b != nullptr ? 1.0 : 0.0}, x, w, y);
}

template <class T>
void column_sum(const T* dy, T* db, int64_t rows, int64_t n, bool accumulate) {
  sum_rows(rows, n, db, accumulate, ElementOf<T>{dy});
}

template void linear_forward(const float*, const float*, const float*, float*, int64_t, int64_t, int64_t);
template void linear_forward(const double*, const double*, const double*, double*, int64_t, int64_t, int64_t);
template void column_sum(const float*, float*, int64_t, int64_t, bool);
template void column_sum(const double*, double*, int64_t, int64_t, bool);

}  // namespace cpu
}  // namespace tapestry
