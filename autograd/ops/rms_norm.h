#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Root-mean-square norm of pieces of n numbers, y = z g / sqrt(mean(z^2) + eps) (ATTENTION section 0.2):
/// x [..., G n], gain [n] for all pieces or [G, n] for the G pieces of a row -> the shape of x. Saves x and
/// gain.
Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps);

/// The pieces of x and gains, which take turns.
struct Pieces {
  int64_t count, width, gains;
};
namespace cpu {
template <class T>
void rms_norm_forward(const Pieces& p, double eps, const T* x, const T* gain, T* y);
/// dx (+)= ...
template <class T>
void rms_norm_backward(const Pieces& p, double eps, const T* x, const T* gain, const T* dy, T* dx,
                       bool accumulate);
/// dgain (+)= ...
template <class T>
void rms_norm_gain(const Pieces& p, double eps, const T* x, const T* dy, T* dgain, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void rms_norm_forward(const Pieces& p, double eps, const T* x, const T* gain, T* y);
template <class T>
void rms_norm_backward(const Pieces& p, double eps, const T* x, const T* gain, const T* dy, T* dx,
                       bool accumulate);
template <class T>
void rms_norm_gain(const Pieces& p, double eps, const T* x, const T* dy, T* dgain, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
