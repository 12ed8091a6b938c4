#include "autograd/gemm.h"

#include <gtest/gtest.h>

#include "tests/support/needs_cuda.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using CudaGemm = NeedsCuda;

TEST_F(CudaGemm, TakesEveryTransposeBetaAndBatchGrid) {
  for (int flags = 0; flags < 8; ++flags) {
    Gemm g{.m = 5, .n = 4, .k = 3, .transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0};
    g.alpha = 0.7;
    g.beta = flags & 4 ? 1.3 : 0;
    g.lda = 7;
    g.ldb = 8;
    g.ldc = 9;
    for (const bool regular : {true, false}) {
      const int64_t gap = regular ? 0 : 11;
      g.batch = {Gemm::Batch{2, 6 * 60 + gap, 6 * 60, 6 * 60}, Gemm::Batch{2, 3 * 60, 3 * 60, 3 * 60},
                 Gemm::Batch{3, 60, 60, 60}};
      const Tensor a = random_tensor({12 * 60 + 11}, 1), b = random_tensor({12 * 60}, 2);
      Tensor on_cpu = random_tensor({12 * 60}, 3), on_cuda = on_cpu.to(Device::cuda());
      cpu::gemm(g, a.data<double>(), b.data<double>(), on_cpu.mutable_data<double>());
      const Tensor a_there = a.to(Device::cuda()), b_there = b.to(Device::cuda());
      cuda::gemm(g, a_there.data<double>(), b_there.data<double>(), on_cuda.mutable_data<double>());
      EXPECT_LE(difference(on_cuda.values<double>(), on_cpu.values<double>()), 1e-12) << flags << regular;
    }
  }
}

}  // namespace
}  // namespace tapestry::test
