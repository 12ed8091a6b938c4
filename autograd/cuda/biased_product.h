#pragma once

#include "autograd/gemm.h"

namespace tapestry::cuda {

/// C = op(A) op(B) + a bias [n] on every row, in one pass over C; one product with dense C, whose alpha and
/// beta do not count. Products of double, and what cuBLASLt has no kernel for, take a pass for the bias
/// first.
template <class T>
void biased_gemm(const Gemm& gemm, const T* a, const T* b, const T* bias, T* c);

}  // namespace tapestry::cuda
