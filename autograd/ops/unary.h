#pragma once

#include "autograd/math.h"
#include "autograd/tensor.h"

namespace tapestry {

/// Elementwise functions, any shape. Each saves its input.
Tensor gelu(const Tensor& x);  // tanh form, as GPT-2
Tensor gelu_exact(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu2(const Tensor& x);
Tensor elu1(const Tensor& x);

/// F is one of the functors of autograd/math.h.
namespace cpu {
template <class F, class T>
void unary_forward(const T* x, T* y, int64_t n);
/// dx (+)= dy F'(x)
template <class F, class T>
void unary_backward(const T* x, const T* dy, T* dx, int64_t n, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class F, class T>
void unary_forward(const T* x, T* y, int64_t n);
template <class F, class T>
void unary_backward(const T* x, const T* dy, T* dx, int64_t n, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
