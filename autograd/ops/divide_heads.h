#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Each head divided by its own number in each row, y = x / (den + eps), and 0 where den + eps is 0: nothing
/// was read there. x [..., H d], den [..., H] -> the shape of x. Saves y and den.
Tensor divide_heads(const Tensor& x, const Tensor& den, double eps);

/// `pieces` = rows times heads, each of head_width.
namespace cpu {
/// y (+)= x / (den + eps)
template <class T>
void divide_heads(const T* x, const T* den, T* y, int64_t pieces, int64_t head_width, double eps,
                  bool accumulate);
/// dden (+)= -dy.y / (den + eps)
template <class T>
void divide_heads_denominator(const T* y, const T* den, const T* dy, T* dden, int64_t pieces,
                              int64_t head_width, double eps, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void divide_heads(const T* x, const T* den, T* y, int64_t pieces, int64_t head_width, double eps,
                  bool accumulate);
template <class T>
void divide_heads_denominator(const T* y, const T* den, const T* dy, T* dden, int64_t pieces,
                              int64_t head_width, double eps, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
