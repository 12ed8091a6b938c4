#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// `count` rows of each matrix of x, from row `first` on, `step` apart: x [..., T, C] -> [..., count, C].
/// Saves nothing.
Tensor take_rows(const Tensor& x, int64_t first, int64_t step, int64_t count);

/// Row `first + i * step` of a matrix of `rows` rows stands in row i of one of `count` rows.
struct RowSelection {
  int64_t matrices, rows, width;
  int64_t first, step, count;
};
namespace cpu {
template <class T>
void take_rows_forward(const RowSelection& s, const T* x, T* y);
/// dx (+)= dy in the rows taken, (+)= 0 in the others.
template <class T>
void take_rows_backward(const RowSelection& s, const T* dy, T* dx, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void take_rows_forward(const RowSelection& s, const T* x, T* y);
template <class T>
void take_rows_backward(const RowSelection& s, const T* dy, T* dx, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
