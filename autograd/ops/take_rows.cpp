#include "autograd/ops/take_rows.h"

#include <algorithm>

#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

Shape with_rows(const Shape& shape, int64_t rows) {
  return shape.rank() == 2 ? Shape{rows, shape[1]} : Shape{shape[0], rows, shape[2]};
}

}  // namespace

Tensor take_rows(const Tensor& x, int64_t first, int64_t step, int64_t count) {
  require(x.rank() == 2 || x.rank() == 3, "take_rows: x ", x.shape(), " is neither [T, C] nor [B, T, C]");
  const int64_t rows = x.dim(-2), width = x.dim(-1);
  require(first >= 0 && step >= 1 && count >= 1 && first + (count - 1) * step < rows, "take_rows: ", count,
          " rows from ", first, " in steps of ", step, " are not all in x ", x.shape());
  const RowSelection selection{x.size() / (rows * width), rows, width, first, step, count};
  Tensor y = Tensor::empty(with_rows(x.shape(), count), x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), take_rows_forward<T>(selection, x.data<T>(), y.mutable_data<T>()));
  });
  record("take_rows", {x}, y, {}, [selection](BackwardStep& step) {
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), take_rows_backward<T>(selection, dy.data<T>(), dx.data<T>(), dx.accumulate));
    });
  });
  return y;
}

namespace cpu {

constexpr int64_t kTakenRowGrain = 16;  // rows

template <class T>
void take_rows_forward(const RowSelection& s, const T* x, T* y) {
  parallel_for(s.matrices * s.count, kTakenRowGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* row = x + (i / s.count * s.rows + s.first + i % s.count * s.step) * s.width;
      std::copy(row, row + s.width, y + i * s.width);
    }
  });
}

template <class T>
void take_rows_backward(const RowSelection& s, const T* dy, T* dx, bool accumulate) {
  if (!accumulate) {
    parallel_for(s.matrices * s.rows, kTakenRowGrain, [=](int64_t begin, int64_t end) {
      std::fill(dx + begin * s.width, dx + end * s.width, T(0));
    });
  }
  parallel_for(s.matrices * s.count, kTakenRowGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* row = dx + (i / s.count * s.rows + s.first + i % s.count * s.step) * s.width;
      for (int64_t j = 0; j < s.width; ++j) row[j] += dy[i * s.width + j];
    }
  });
}

template void take_rows_forward(const RowSelection&, const float*, float*);
template void take_rows_forward(const RowSelection&, const double*, double*);
template void take_rows_backward(const RowSelection&, const float*, float*, bool);
template void take_rows_backward(const RowSelection&, const double*, double*, bool);

}  // namespace cpu
}  // namespace tapestry
