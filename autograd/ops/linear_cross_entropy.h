#pragma once

#include <algorithm>

#include "autograd/tensor.h"

namespace tapestry {

/// The output projection, logits = x W^T, with x [..., C] and W [V, C] (the layout of an embedding), and what
/// is made of the logits. Targets are int32 [...]: a negative one is not counted, one of V or more is an
/// Error(input). Where they lie on the CPU, nothing here waits for the device of x.

/// Targets that are counted; Error(input) if there are none.
int64_t count_targets(const char* op, const Tensor& targets);

/// Mean of -log softmax(logits)[target] over the counted targets, a scalar, without ever holding [..., V]:
/// the logits exist for one block of rows at a time. Where a gradient is wanted, those of x and W for a loss
/// gradient of 1 are computed on the way, while the block is there, and are what is saved.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets);

/// -log softmax(logits)[target] of each target, float64 [...], 0 where it is not counted. Not differentiable.
Tensor token_nll(const Tensor& x, const Tensor& weight, const Tensor& targets);

/// The logits themselves, [..., V]. Saves x and W.
Tensor output_logits(const Tensor& x, const Tensor& weight);

/// Rows whose logits, of T, are held at one time. Every block reads W twice and adds to dW once: on the CPU,
/// at GPT-2's size, 654 rows run at the rate of the bare products, 163 at four fifths of it. A GPU takes more
/// to be busy.
template <class T>
int64_t logit_rows(Device device, int64_t rows, int64_t v) {
  const int64_t bytes = int64_t{device.is_cuda() ? 512 : 128} << 20;
  return std::clamp<int64_t>(bytes / (v * static_cast<int64_t>(sizeof(T))), 16, std::max<int64_t>(rows, 16));
}

namespace cpu {
/// nll [rows] as token_nll. dx [rows, c] and dw [v, c], unless null, receive the gradients of
/// `unit` times the sum of nll.
template <class T>
void cross_entropy(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                   int64_t rows, int64_t c, int64_t v);
/// mean = the sum of nll [n] over `counted`.
template <class T>
void mean_nll(const double* nll, int64_t n, int64_t counted, T* mean);
/// x [n] *= factor, a scalar
template <class T>
void scale_by(const T* factor, T* x, int64_t n);
}  // namespace cpu
namespace cuda {
template <class T>
void mean_nll(const double* nll, int64_t n, int64_t counted, T* mean);
template <class T>
void scale_by(const T* factor, T* x, int64_t n);
template <class T>
void cross_entropy(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                   int64_t rows, int64_t c, int64_t v);
}  // namespace cuda

}  // namespace tapestry
