#pragma once

#include "autograd/gemm.h"

namespace tapestry::cpu {

/// Whether this processor and this build multiply bfloat16 numbers.
bool multiplies_bf16();
/// Whether products of this precision do so here: a run on CUDA in bf16 needs no processor that can.
inline bool multiplies_bf16_in(Precision precision) {
  static const bool can = multiplies_bf16();
  return precision == Precision::bf16 && can;
}
/// One product of bfloat16 numbers, summed in float32; k must be positive.
void bf16_product(const Gemm& gemm, const BFloat16* a, const BFloat16* b, float* c);

}  // namespace tapestry::cpu
