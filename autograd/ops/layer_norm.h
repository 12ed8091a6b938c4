#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Layer norm of pieces of n numbers, (z - mean) g / sqrt(variance + eps) + b (ATTENTION section 0.2):
/// x [..., G n], gain [n] for all pieces or [G, n] for the G pieces of a row, bias like the gain or undefined
/// -> the shape of x. Saves x, the gain and two numbers a piece.
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias = {}, double eps = 1e-5);

/// `rows` pieces of `n` numbers, of which piece r takes row r % gains of the gain.
struct NormSize {
  int64_t rows, n, gains;
  static constexpr int64_t block_rows = 64;
  int64_t blocks() const { return (rows + block_rows - 1) / block_rows; }
};

/// Centred: layer norm; else RMS norm, whose mean counts as 0.
namespace cpu {
/// stats [rows, 2] receives the mean and the reciprocal root of each row.
template <bool Centred, class T>
void norm_forward(const T* x, const T* gain, const T* bias, T* y, T* stats, NormSize size, double eps);
/// dx (+)= gradient, unless null. partial [2, blocks, gains, n] receives what each block of rows adds to the
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
