#pragma once

#include "autograd/gemm.h"

namespace tapestry::cpu {

/// Whether this processor and this build multiply bfloat16 numbers.
bool multiplies_bf16();
/// One product of bfloat16 numbers, summed in float32; k must be positive.
void bf16_product(const Gemm& gemm, const BFloat16* a, const BFloat16* b, float* c);

}  // namespace tapestry::cpu
