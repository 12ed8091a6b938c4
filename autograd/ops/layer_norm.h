#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Normalisation over the last axis, x [..., C] -> [..., C], formulas of ATTENTION 0.2. The gain is [C], or
/// another suffix of x's shape that ends in C ([H, C]: one gain a head). Both save x, the gain and two
/// numbers a row.

/// (x - mean) / sqrt(variance + eps) gain + bias; the bias has the gain's shape or is undefined.
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias = {}, double eps = 1e-5);
/// x / sqrt(mean of x^2 + eps) gain
Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps = 1e-6);

/// Sizes of a normalisation: `gains` rows of gain, of which row r takes number r % gains.
struct NormSize {
  int64_t rows, c, gains;
  static constexpr int64_t block_rows = 64;
  int64_t blocks() const { return (rows + block_rows - 1) / block_rows; }
};

/// Centred: layer norm; else RMS norm, whose mean counts as 0.
namespace cpu {
/// stats [rows, 2] receives the mean and the reciprocal root of each row.
template <bool Centred, class T>
void norm_forward(const T* x, const T* gain, const T* bias, T* y, T* stats, NormSize size, double eps);
/// dx (+)= gradient, unless null. partial [2, blocks, gains, c] receives what each block of rows adds to the
/// gradients of gain and bias (the latter only if Centred).
template <bool Centred, class T>
void norm_backward(const T* x, const T* gain, const T* stats, const T* dy, T* dx, bool accumulate, T* partial,
                   NormSize size);
}  // namespace cpu
namespace cuda {
template <bool Centred, class T>
void norm_forward(const T* x, const T* gain, const T* bias, T* y, T* stats, NormSize size, double eps);
template <bool Centred, class T>
void norm_backward(const T* x, const T* gain, const T* stats, const T* dy, T* dx, bool accumulate, T* partial,
                   NormSize size);
}  // namespace cuda

}  // namespace tapestry
