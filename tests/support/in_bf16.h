#pragma once

#include <gtest/gtest.h>

#include "autograd/gemm_bf16.h"

namespace tapestry::test {

/// Products are in that precision while one is alive.
class InPrecision {
 public:
  explicit InPrecision(Precision precision, Device device = Device::cpu()) {
    set_product_precision(precision, device);
  }
  ~InPrecision() { set_product_precision(Precision::float32); }
  InPrecision(const InPrecision&) = delete;
  InPrecision& operator=(const InPrecision&) = delete;
};

class InBf16 : public InPrecision {
 public:
  InBf16() : InPrecision(Precision::bf16) {}
};

}  // namespace tapestry::test

#define SKIP_WITHOUT_BF16() \
  if (!tapestry::cpu::multiplies_bf16()) GTEST_SKIP() << "this processor does not multiply bfloat16 numbers"
