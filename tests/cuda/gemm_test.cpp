#include "autograd/gemm.h"

#include <gtest/gtest.h>

#include "autograd/cuda/biased_product.h"
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

/// More than one call of the library takes, as one sequence and as an array of pointers.
TEST_F(CudaGemm, TakesAnyNumberOfProducts) {
  constexpr int64_t half = 35'000, size = 4;
  for (const int64_t gap : {0, 4}) {
    Gemm g{.m = 2, .n = 2, .k = 2};
    g.batch[1] = {2, half * size + gap, half * size, half * size};
    g.batch[2] = {half, size, size, size};
    const Tensor a = random_tensor({2 * half * size + gap}, 1), b = random_tensor({2 * half * size}, 2);
    Tensor on_cpu = Tensor::zeros({2 * half * size}, DType::float64), on_cuda = on_cpu.to(Device::cuda());
    cpu::gemm(g, a.data<double>(), b.data<double>(), on_cpu.mutable_data<double>());
    const Tensor a_there = a.to(Device::cuda()), b_there = b.to(Device::cuda());
    cuda::gemm(g, a_there.data<double>(), b_there.data<double>(), on_cuda.mutable_data<double>());
    EXPECT_LE(difference(on_cuda.values<double>(), on_cpu.values<double>()), 1e-12) << gap;
  }
}

/// Heads of 12 numbers in bfloat16 do not begin at multiples of 16 bytes.
TEST_F(CudaGemm, TakesOperandsThatBeginAnywhere) {
  constexpr int64_t batch = 3, tokens = 16, heads = 2, width = 12, row = heads * width;
  Gemm g{.m = tokens, .n = tokens, .k = width, .transpose_b = true};
  g.lda = g.ldb = row;
  g.batch[0] = {batch, tokens * row, tokens * row, heads * tokens * tokens};
  g.batch[1] = {heads, width, width, tokens * tokens};
  const Tensor x = random_tensor({batch, tokens, row}, 1, DType::float32);
  const Tensor there = x.to(Device::cuda());
  Tensor found = Tensor::empty({batch, heads, tokens, tokens}, DType::float32, Device::cuda());
  Storage rounded(Device::cuda(), x.size() * 2);
  auto* operand = static_cast<BFloat16*>(rounded.mutable_data());
  cuda::round_matrix(there.data<float>(), 1, x.size(), x.size(), operand);
  cuda::gemm<BFloat16>(g, operand, operand, found.mutable_data<float>());
  Tensor expected = Tensor::empty(found.shape(), DType::float32);
  g.precision = Precision::float32;
  cpu::gemm(g, x.data<float>(), x.data<float>(), expected.mutable_data<float>());
  EXPECT_LE(difference(found.values<double>(), expected.values<double>()), 2e-2);
  EXPECT_GE(difference(found.values<double>(), expected.values<double>()), 1e-5);
}

/// How far a product in `g.precision` on the device is off that in float64 of operands that `round` goes
/// over.
template <class Round>
double off(const Gemm& g, const Round& round) {
  const Tensor a = random_tensor({g.batch[2].count, 300, 320}, 1, DType::float32),
               b = random_tensor({g.batch[2].count, 300, 320}, 2, DType::float32),
               c = random_tensor({g.batch[2].count, 300, 330}, 3, DType::float32);
  const auto rounded = [&](const Tensor& x) {
    std::vector<double> values = x.values<double>();
    for (double& value : values) value = round(static_cast<float>(value));
    return Tensor::from(values, x.shape());
  };
  const Tensor a64 = rounded(a), b64 = rounded(b);
  Tensor expected = c.to(DType::float64);
  cpu::gemm(g, a64.data<double>(), b64.data<double>(), expected.mutable_data<double>());
  const Tensor a_there = a.to(Device::cuda()), b_there = b.to(Device::cuda());
  Tensor found = c.to(Device::cuda());
  cuda::gemm(g, a_there.data<float>(), b_there.data<float>(), found.mutable_data<float>());
  return difference(found.values<double>(), expected.values<double>());
}
double exactly(float x) { return x; }
double in_bfloat16(float x) { return static_cast<float>(BFloat16{BFloat16::nearest(x)}); }

TEST_F(CudaGemm, LargeProductsMultiplyInBfloat16) {
  for (int flags = 0; flags < 8; ++flags) {
    Gemm g{.m = 270, .n = 257, .k = 256, .transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0};
    g.alpha = 0.7;
    g.beta = flags & 4 ? 1.3 : 0;
    // Rows of operands that a thread can load eight numbers of, and such that it cannot.
    g.lda = flags & 4 ? 320 : 301;
    g.ldb = 301 + (flags & 1) * 19;
    g.ldc = 330;
    g.precision = Precision::bf16;
    EXPECT_LE(off(g, in_bfloat16), 1e-5) << flags;
    EXPECT_GE(off(g, exactly), 1e-4) << flags;
  }
}

/// With a kernel of the library that adds the bias, and for sizes that may have none.
TEST_F(CudaGemm, AddsABiasToEveryRow) {
  for (const int64_t n : {260, 264}) {
    for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bf16}) {
      const Gemm g{.m = 270, .n = n, .k = 96, .precision = precision};
      const Tensor a = random_tensor({g.m, g.k}, 1, DType::float32),
                   b = random_tensor({g.k, n}, 2, DType::float32),
                   bias = random_tensor({n}, 3, DType::float32);
      Tensor plain = Tensor::empty({g.m, n}, DType::float32, Device::cuda()),
             biased = Tensor::empty_like(plain);
      const Tensor a_there = a.to(Device::cuda()), b_there = b.to(Device::cuda()),
                   bias_there = bias.to(Device::cuda());
      cuda::gemm(g, a_there.data<float>(), b_there.data<float>(), plain.mutable_data<float>());
      cuda::biased_gemm(g, a_there.data<float>(), b_there.data<float>(), bias_there.data<float>(),
                        biased.mutable_data<float>());
      std::vector<double> expected = plain.values<double>();
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += bias.data<float>()[i % n];
      EXPECT_LE(difference(biased.values<double>(), expected), 1e-5) << n << name_of(precision);
    }
  }
}

TEST_F(CudaGemm, OthersMultiplyInTf32AndThoseThatAskForItInFloat32) {
  Gemm g{.m = 100, .n = 257, .k = 200, .lda = 320, .ldb = 320, .ldc = 330};
  for (const int64_t count : {1, 3}) {
    g.batch[2] = {count, 300 * 320, 300 * 320, 300 * 330};
    for (const Precision precision : {Precision::tf32, Precision::bf16}) {
      g.precision = precision;
      EXPECT_LE(off(g, exactly), 2e-3) << count;
      EXPECT_GE(off(g, exactly), 1e-5) << count;
    }
    g.precision = Precision::float32;
    EXPECT_LE(off(g, exactly), 3e-6) << count;
  }
}

}  // namespace
}  // namespace tapestry::test
