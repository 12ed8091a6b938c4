#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Each head times its own factor: x [..., H d], factor [H] -> the shape of x. Saves both.
Tensor scale_heads(const Tensor& x, const Tensor& factor);

namespace cpu {
/// y (+)= factor x, rows of n_head pieces of head_width.
template <class T>
void scale_heads(const T* x, const T* factor, T* y, int64_t rows, int64_t n_head, int64_t head_width,
                 bool accumulate);
/// dfactor (+)= the sums over the rows of dy.x by head.
template <class T>
void scale_heads_sums(const T* x, const T* dy, T* dfactor, int64_t rows, int64_t n_head, int64_t head_width,
                      bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void scale_heads(const T* x, const T* factor, T* y, int64_t rows, int64_t n_head, int64_t head_width,
                 bool accumulate);
template <class T>
void scale_heads_sums(const T* x, const T* dy, T* dfactor, int64_t rows, int64_t n_head, int64_t head_width,
                      bool accumulate);
}  // namespace cuda

}  // namespace tapestry
