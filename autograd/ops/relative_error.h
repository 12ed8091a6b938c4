#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// |x - target|^2 / |target|^2 over all elements, a scalar: how much of `target`, a constant of the same
/// shape that is not all zeros, x misses. Saves x and target.
Tensor relative_error(const Tensor& x, const Tensor& target);

namespace cpu {
/// sums = {|x - target|^2, |target|^2}, on the host.
template <class T>
void error_sums(const T* x, const T* target, double* sums, int64_t n);
/// dx (+)= factor (x - target)
template <class T>
void error_backward(const T* x, const T* target, double factor, T* dx, int64_t n, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void error_sums(const T* x, const T* target, double* sums, int64_t n);
template <class T>
void error_backward(const T* x, const T* target, double factor, T* dx, int64_t n, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
