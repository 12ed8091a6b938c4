#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// y = x W + b: x [..., K], W [K, N], b [N] or undefined -> [..., N]. Saves x and W.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

namespace cpu {
/// y = x W + b for `rows` rows.
template <class T>
void linear_forward(const T* x, const T* w, const T* b, T* y, int64_t rows, int64_t k, int64_t n);
/// db (+)= column sums of dy [rows, n], in an order that does not depend on the number of threads.
template <class T>
void column_sum(const T* dy, T* db, int64_t rows, int64_t n, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void linear_forward(const T* x, const T* w, const T* b, T* y, int64_t rows, int64_t k, int64_t n);
template <class T>
void column_sum(const T* dy, T* db, int64_t rows, int64_t n, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
