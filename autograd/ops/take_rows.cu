#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/take_rows.h"

namespace tapestry::cuda {

template <class T>
void take_rows_forward(const RowSelection& selection, const T* x, T* y) {
  const RowSelection s = selection;
  for_each_index("take_rows_forward", s.matrices * s.count * s.width, [=] __device__(int64_t i) {
    const int64_t row = i / s.width;
    y[i] = x[(row / s.count * s.rows + s.first + row % s.count * s.step) * s.width + i % s.width];
  });
}

template <class T>
void take_rows_backward(const RowSelection& selection, const T* dy, T* dx, bool accumulate) {
  const RowSelection s = selection;
  for_each_index("take_rows_backward", s.matrices * s.rows * s.width, [=] __device__(int64_t i) {
    const int64_t row = i / s.width, from_first = row % s.rows - s.first;
    const bool taken = from_first >= 0 && from_first % s.step == 0 && from_first / s.step < s.count;
    const int64_t taken_row = row / s.rows * s.count + from_first / s.step;
    put(dx[i], taken ? dy[taken_row * s.width + i % s.width] : T(0), accumulate);
  });
}

#define INSTANTIATE(T)                                                \
  template void take_rows_forward(const RowSelection&, const T*, T*); \
  template void take_rows_backward(const RowSelection&, const T*, T*, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
