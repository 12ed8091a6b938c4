#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Elementwise, with b of a's shape or broadcast over leading axes: b's shape is a suffix of a's, [B, T, C]
/// with [T, C] or [C]. `mul` saves both, the others nothing.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
/// factor x
Tensor scale(const Tensor& x, double factor);

namespace cpu {
/// y = a op b; a and y are [rows, n], b is [n]. Op: Add, Sub, Mul of autograd/math.h.
template <class Op, class T>
void binary_forward(const T* a, const T* b, T* y, int64_t rows, int64_t n);
/// db (+)= factor (sum of the rows of dy)
template <class T>
void add_backward(const T* dy, double factor, T* db, int64_t rows, int64_t n, bool accumulate);
/// da (+)= dy b
template <class T>
void mul_backward_a(const T* dy, const T* b, T* da, int64_t rows, int64_t n, bool accumulate);
/// db (+)= sum of the rows of dy a
template <class T>
void mul_backward_b(const T* dy, const T* a, T* db, int64_t rows, int64_t n, bool accumulate);
/// y (+)= factor x; y may be x.
template <class T>
void scale(const T* x, double factor, T* y, int64_t n, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class Op, class T>
void binary_forward(const T* a, const T* b, T* y, int64_t rows, int64_t n);
template <class T>
void add_backward(const T* dy, double factor, T* db, int64_t rows, int64_t n, bool accumulate);
template <class T>
void mul_backward_a(const T* dy, const T* b, T* da, int64_t rows, int64_t n, bool accumulate);
template <class T>
void mul_backward_b(const T* dy, const T* a, T* db, int64_t rows, int64_t n, bool accumulate);
template <class T>
void scale(const T* x, double factor, T* y, int64_t n, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
