#include "autograd/ops/copy_rows.h"

#include "autograd/ops/take_rows.h"

namespace tapestry {

void copy_rows(const Tensor& src, int64_t from, Tensor& dst, int64_t to, int64_t count) {
  if (count == 0) return;
  const int64_t width = src.dim(-1), rows = src.shape().rows();
  require(dst.dim(-1) == width && dst.dtype() == src.dtype() && from >= 0 && to >= 0 &&
              from + count <= rows && to + count <= dst.shape().rows(),
          "copy_rows: ", count, " rows from ", from, " of ", src.shape(), " to ", to, " of ", dst.shape());
  const RowSelection selection{1, rows, width, from, 1, count};
  for_float(src.dtype(), [&]<class T>(T) {
    LAUNCH(src.device(), take_rows_forward<T>(selection, src.data<T>(), dst.mutable_data<T>() + to * width));
  });
}

}  // namespace tapestry
