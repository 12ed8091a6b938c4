#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Running sums along one axis, y_n = x_0 + ... + x_n: any shape -> the same. Saves nothing.
Tensor cumsum(const Tensor& x, int axis);

namespace cpu {
/// y[., n, .] = the sum of x[., 0 .. n, .], or of x[., n .. count - 1, .] if `reverse`; both [outer, count,
/// inner].
template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t count, int64_t inner, bool reverse);
}  // namespace cpu
namespace cuda {
template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t count, int64_t inner, bool reverse);
}  // namespace cuda

}  // namespace tapestry
