#include "autograd/precision.h"

#include "autograd/gemm_bf16.h"
#include "base/error.h"

namespace tapestry {
namespace {

Precision current = Precision::float32;

}  // namespace

Precision precision_of(const std::string& name) {
  check(name == "float32" || name == "bf16", Exit::usage, "there is no precision '", name,
        "': float32 or bf16");
  return name == "bf16" ? Precision::bf16 : Precision::float32;
}

Precision product_precision() { return current; }

void set_product_precision(Precision precision) {
  check(precision == Precision::float32 || cpu::multiplies_bf16(), Exit::memory,
        "run.precision = bf16 needs oneDNN and a processor that multiplies bfloat16 numbers (AVX512-BF16 or "
        "AMX): use run.precision = float32");
  current = precision;
}

}  // namespace tapestry
