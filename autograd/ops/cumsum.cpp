#include "autograd/ops/cumsum.h"

#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

/// x as [outer, count, inner] around the axis that is summed.
struct Axis {
  int64_t outer = 1, count, inner = 1;
  Axis(const Shape& shape, int axis) : count(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

Tensor sums(const Tensor& x, const Axis& axis, bool reverse) {
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(),
           cumsum<T>(x.data<T>(), y.mutable_data<T>(), axis.outer, axis.count, axis.inner, reverse));
  });
  return y;
}

}  // namespace

Tensor cumsum(const Tensor& x, int axis) {
  require(axis >= -x.rank() && axis < x.rank(), "cumsum: x ", x.shape(), " has no axis ", axis);
  const Axis along(x.shape(), axis < 0 ? axis + x.rank() : axis);
  Tensor y = sums(x, along, false);
  record("cumsum", {x}, y, {},
         [along](BackwardStep& step) { step.add(0, sums(step.gradient(), along, true)); });
  return y;
}

namespace cpu {

template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t count, int64_t inner, bool reverse) {
  if (count == 0) return;
  const int64_t first = reverse ? count - 1 : 0, step = reverse ? -inner : inner;
  for_row_pieces(outer, inner, [=](int64_t row, int64_t begin, int64_t end) {
    const T* from = x + (row * count + first) * inner;
    T* to = y + (row * count + first) * inner;
    write(to, begin, end, false, ElementOf<T>{from});
    for (int64_t n = 1; n < count; ++n) {
      const T* before = to;
      from += step;
      to += step;
      write(to, begin, end, false, [=](int64_t i) { return before[i] + from[i]; });
    }
  });
}

template void cumsum(const float*, float*, int64_t, int64_t, int64_t, bool);
template void cumsum(const double*, double*, int64_t, int64_t, int64_t, bool);

}  // namespace cpu
}  // namespace tapestry
