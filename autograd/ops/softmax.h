#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Softmax over the last axis, any shape. Saves its output.
Tensor softmax(const Tensor& x);

namespace cpu {
template <class T>
void softmax_forward(const T* x, T* y, int64_t rows, int64_t n);
/// dx (+)= y o (dy - y.dy) by row; dx may be dy.
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t rows, int64_t n, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void softmax_forward(const T* x, T* y, int64_t rows, int64_t n);
template <class T>
void softmax_backward(const T* y, const T* dy, T* dx, int64_t rows, int64_t n, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
