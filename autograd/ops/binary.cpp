#include "autograd/ops/binary.h"

#include "autograd/math.h"
#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

template <class Op>
Tensor forward(const char* name, const Tensor& a, const Tensor& b) {
  require(a.dtype() == b.dtype(), name, ": ", name_of(a.dtype()), " with ", name_of(b.dtype()));
  require(a.shape().ends_with(b.shape()), name, ": b ", b.shape(), " is not a suffix of a ", a.shape());
  Tensor y = Tensor::empty_like(a);
  const int64_t n = b.size(), rows = n == 0 ? 0 : a.size() / n;
  for_float(a.dtype(), [&]<class T>(T) {
    LAUNCH(a.device(), binary_forward<Op, T>(a.data<T>(), b.data<T>(), y.mutable_data<T>(), rows, n));
  });
  return y;
}

/// a + sign b
template <class Op>
Tensor sum(const char* name, const Tensor& a, const Tensor& b, double sign) {
  Tensor y = forward<Op>(name, a, b);
  record(name, {a, b}, y, {}, [sign, n = b.size()](BackwardStep& step) {
    const Tensor dy = step.gradient();
    if (step.needs(0)) step.add(0, dy);
    if (!step.needs(1)) return;
    if (sign == 1 && n == dy.size()) return step.add(1, dy);
    Destination db = step.into(1);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(),
             add_backward<T>(dy.data<T>(), sign, db.data<T>(), n == 0 ? 0 : dy.size() / n, n, db.accumulate));
    });
  });
  return y;
}

void mul_backward(BackwardStep& step) {
  const Tensor &a = step.saved(0), &b = step.saved(1), &dy = step.gradient();
  const int64_t n = b.size(), rows = n == 0 ? 0 : a.size() / n;
  for_float(a.dtype(), [&]<class T>(T) {
    if (step.needs(0)) {
      Destination da = step.into(0);
      LAUNCH(a.device(), mul_backward_a<T>(dy.data<T>(), b.data<T>(), da.data<T>(), rows, n, da.accumulate));
    }
    if (step.needs(1)) {
      Destination db = step.into(1);
      LAUNCH(a.device(), mul_backward_b<T>(dy.data<T>(), a.data<T>(), db.data<T>(), rows, n, db.accumulate));
    }
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return sum<Add>("add", a, b, 1); }
Tensor sub(const Tensor& a, const Tensor& b) { return sum<Sub>("sub", a, b, -1); }

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = forward<Mul>("mul", a, b);
  record("mul", {a, b}, y, {a, b}, mul_backward);
  return y;
}

Tensor scale(const Tensor& x, double factor) {
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), scale<T>(x.data<T>(), factor, y.mutable_data<T>(), x.size(), false));
  });
  record("scale", {x}, y, {}, [factor](BackwardStep& step) {
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), scale<T>(dy.data<T>(), factor, dx.data<T>(), dy.size(), dx.accumulate));
    });
  });
  return y;
}

namespace cpu {

template <class Op, class T>
void binary_forward(const T* a, const T* b, T* y, int64_t rows, int64_t n) {
  for_row_pieces(rows, n, [=](int64_t row, int64_t begin, int64_t end) {
    const int64_t offset = row * n;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[offset + i] = Op::value(a[offset + i], b[i]);
  });
}

template <class T>
void add_backward(const T* dy, double factor, T* db, int64_t rows, int64_t n, bool accumulate) {
  sum_rows(rows, n, db, accumulate, [=, f = static_cast<T>(factor)](int64_t i) { return f * dy[i]; });
}

template <class T>
void mul_backward_a(const T* dy, const T* b, T* da, int64_t rows, int64_t n, bool accumulate) {
  for_row_pieces(rows, n, [=](int64_t row, int64_t begin, int64_t end) {
    const int64_t offset = row * n;
    write(da + offset, begin, end, accumulate, [=](int64_t i) { return dy[offset + i] * b[i]; });
  });
}

template <class T>
void mul_backward_b(const T* dy, const T* a, T* db, int64_t rows, int64_t n, bool accumulate) {
  sum_rows(rows, n, db, accumulate, [=](int64_t i) { return dy[i] * a[i]; });
}

template <class T>
void scale(const T* x, double factor, T* y, int64_t n, bool accumulate) {
  const T f = static_cast<T>(factor);
  parallel_for(n, kPieceSize, [=](int64_t begin, int64_t end) {
    write(y, begin, end, accumulate, [=](int64_t i) { return f * x[i]; });
  });
}

template void scale(const float*, double, float*, int64_t, bool);
template void scale(const double*, double, double*, int64_t, bool);

}  // namespace cpu
}  // namespace tapestry
