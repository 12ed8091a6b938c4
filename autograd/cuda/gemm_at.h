#pragma once

#include "autograd/gemm.h"

namespace tapestry::cuda {

/// The product of `g`, whose batch axes do not count, for each of `count` operands: a, b and c are arrays of
/// pointers in device memory.
template <class In, class T>
void gemm_at(const Gemm& g, int64_t count, const In* const* a, const In* const* b, T* const* c);

}  // namespace tapestry::cuda
