#pragma once

#include <gtest/gtest.h>

#include "autograd/gemm_bf16.h"

namespace tapestry::test {

/// Products are in bfloat16 while one is alive.
class InBf16 {
 public:
  InBf16() { set_product_precision(Precision::bf16); }
  ~InBf16() { set_product_precision(Precision::float32); }
};

}  // namespace tapestry::test

#define SKIP_WITHOUT_BF16() \
  if (!tapestry::cpu::multiplies_bf16()) GTEST_SKIP() << "this processor does not multiply bfloat16 numbers"
