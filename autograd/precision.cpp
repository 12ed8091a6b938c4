#include "autograd/precision.h"

#include "autograd/gemm_bf16.h"
#include "base/error.h"

namespace tapestry {
namespace {

Precision current = Precision::float32;

}  // namespace

Precision precision_of(const std::string& name) {
  for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bf16}) {
    if (name == name_of(precision)) return precision;
  }
  fail(Exit::usage, "there is no precision '", name, "': float32, tf32 or bf16");
}

std::string name_of(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return "float32";
    case Precision::tf32:
      return "tf32";
    default:
      return "bf16";
  }
}

Precision product_precision() { return current; }

void set_product_precision(Precision precision, Device device) {
  if (!device.is_cuda()) {
    check(precision != Precision::tf32, Exit::usage,
          "run.precision = tf32 is for run.device = cuda: use float32 or bf16");
    check(
        precision != Precision::bf16 || cpu::multiplies_bf16(), Exit::memory,
        "run.precision = bf16 needs oneDNN and a processor that multiplies bfloat16 numbers (AVX512-BF16 or "
        "AMX): use run.precision = float32");
  }
  current = precision;
}

}  // namespace tapestry
