#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// While a tape is alive: 0 with probability p, else x / (1 - p); without a tape, x itself. Which elements
/// stay is a function of the tape's next random key, so that nothing is saved. 0 <= p < 1.
Tensor dropout(const Tensor& x, double p);

namespace cpu {
/// y (+)= x / (1 - p) where random_uniform(key, i) >= p, 0 elsewhere.
template <class T>
void dropout(const T* x, T* y, int64_t n, double p, uint64_t key, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void dropout(const T* x, T* y, int64_t n, double p, uint64_t key, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
