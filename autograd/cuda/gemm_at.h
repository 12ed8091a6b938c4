#pragma once

#include "autograd/gemm.h"

namespace tapestry::cuda {

/// Bytes of which the addresses of operands in bfloat16 and TF32 have to be multiples, where they come as an
/// array: cuBLAS does not see them when it chooses a kernel.
constexpr int64_t kPointerAlignment = 16;

/// The product of `g`, whose batch axes do not count, for each of `count` operands: a, b and c are arrays of
/// pointers in device memory.
template <class In, class T>
void gemm_at(const Gemm& g, int64_t count, const In* const* a, const In* const* b, T* const* c);

}  // namespace tapestry::cuda
