#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Each channel by itself convolved with its own K numbers, causally (ATTENTION section 4):
///   y[t, ch] = sum_j w[ch, j] x[t - (K - 1) + j, ch], zeros before the first token,
/// x [B, T, C], w [C, K] -> [B, T, C]. Saves x and w.
Tensor short_convolution(const Tensor& x, const Tensor& weight);

struct ConvolutionSize {
  int64_t batch, tokens, channels, taps;
};
namespace cpu {
template <class T>
void short_convolution_forward(const ConvolutionSize& size, const T* x, const T* w, T* y);
/// dx (+)= the gradient: the convolution of dy towards the past.
template <class T>
void short_convolution_input(const ConvolutionSize& size, const T* dy, const T* w, T* dx, bool accumulate);
/// dw (+)= the gradient.
template <class T>
void short_convolution_weight(const ConvolutionSize& size, const T* x, const T* dy, T* dw, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void short_convolution_forward(const ConvolutionSize& size, const T* x, const T* w, T* y);
template <class T>
void short_convolution_input(const ConvolutionSize& size, const T* dy, const T* w, T* dx, bool accumulate);
template <class T>
void short_convolution_weight(const ConvolutionSize& size, const T* x, const T* dy, T* dw, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
