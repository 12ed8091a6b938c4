#include "autograd/precision.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "autograd/random.h"
#include "base/parallel.h"
#include "tests/support/child.h"
#include "tests/support/error_text.h"
#include "tests/support/in_bf16.h"
#include "tests/support/op_case.h"
#include "tests/support/shell.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

float rounded(float x) { return static_cast<float>(BFloat16{BFloat16::nearest(x)}); }

TEST(BFloat16, RoundsToTheNearestWithTiesToEven) {
  const float step = 1.0f / 128;
  EXPECT_EQ(rounded(1 + step), 1 + step);
  EXPECT_EQ(rounded(1 + 0.49f * step), 1);
  EXPECT_EQ(rounded(1 + 0.5f * step), 1);
  EXPECT_EQ(rounded(1 + 0.51f * step), 1 + step);
  EXPECT_EQ(rounded(1 + 1.5f * step), 1 + 2 * step);
  EXPECT_EQ(rounded(-1 - 1.5f * step), -1 - 2 * step);
  EXPECT_EQ(rounded(1e-40f), std::ldexp(std::round(std::ldexp(1e-40f, 133)), -133));
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), INFINITY);
  EXPECT_EQ(rounded(-INFINITY), -INFINITY);
}

TEST(BFloat16, ANanStaysOne) {
  for (const uint32_t bits : {0x7F800001u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0xFF800001u})
    EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(bits)))) << bits;
}

std::vector<float> random_values(int64_t n, uint64_t key) {
  std::vector<float> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(random_normal(key, i));
  return values;
}

/// alpha op(A) op(B) + beta C in float64 of operands that `round` has gone over.
template <class Round>
std::vector<double> naive(const Gemm& g, const std::vector<float>& a, const std::vector<float>& b,
                          const std::vector<float>& c, const Round& round) {
  std::vector<double> out(c.begin(), c.end());
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < g.k; ++l) {
        const float x = g.transpose_a ? a[l * g.row_a() + i] : a[i * g.row_a() + l];
        const float y = g.transpose_b ? b[j * g.row_b() + l] : b[l * g.row_b() + j];
        sum += g.alpha * round(x) * round(y);
      }
      double& to = out[i * g.row_c() + j];
      to = sum + (g.beta == 0 ? 0 : g.beta * to);
    }
  }
  return out;
}

/// The rounded operands multiply exactly; unrounded ones differ by no more than bfloat16 does.
void expect_rounded_product(const Gemm& g) {
  const auto a = random_values((g.transpose_a ? g.k : g.m) * g.row_a(), 1),
             b = random_values((g.transpose_b ? g.n : g.k) * g.row_b(), 2),
             c = random_values(g.m * g.row_c(), 3);
  std::vector<float> y = c;
  for (int64_t i = 0; g.beta == 0 && i < g.m; ++i) std::fill_n(y.begin() + i * g.row_c(), g.n, NAN);
  cpu::gemm(g, a.data(), b.data(), y.data());
  const std::vector<double> got(y.begin(), y.end());
  EXPECT_LE(difference(got, naive(g, a, b, c, rounded)), 1e-5)
      << g.m << " " << g.n << " " << g.k << ", transposed " << g.transpose_a << g.transpose_b << ", beta "
      << g.beta;
  const double exact = difference(got, naive(g, a, b, c, [](float x) { return x; }));
  EXPECT_LE(exact, 5e-3);
  EXPECT_GE(exact, 1e-5) << "nothing was rounded";
}

std::vector<Gemm> products() {
  std::vector<Gemm> all;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const auto& [m, n, k] : {std::array<int64_t, 3>{64, 128, 64}, {101, 67, 129}, {33, 700, 47}}) {
        Gemm g{.m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b};
        all.push_back(g);
        g.alpha = -0.3;
        g.beta = 1;
        g.lda = (transpose_a ? m : k) + 5;
        g.ldb = (transpose_b ? k : n) + 3;
        g.ldc = n + 2;
        all.push_back(g);
      }
    }
  }
  return all;
}

TEST(Bf16Products, MultiplyRoundedOperandsAndSumInFloat32) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  for (const Gemm& g : products()) expect_rounded_product(g);
}

TEST(Bf16Products, AreTheSameInsideAParallelRegionUpToTheOrderOfSums) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  const std::vector<Gemm> all = products();
  parallel_jobs(static_cast<int64_t>(all.size()), [&](int64_t i) { expect_rounded_product(all[i]); });
}

TEST(Bf16Products, HaveTheSameBitsEveryTime) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  const auto a = random_values(300 * 260, 1), b = random_values(260 * 300, 2);
  std::vector<float> first(300 * 300), again(300 * 300);
  const Gemm g{.m = 300, .n = 300, .k = 260};
  cpu::gemm(g, a.data(), b.data(), first.data());
  cpu::gemm(g, a.data(), b.data(), again.data());
  EXPECT_EQ(first, again);
}

TEST(Bf16Products, SmallAndDoubleProductsAndThoseThatAskForItStayExact) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  const auto expect_exact = [](const Gemm& g) {
    const auto a = random_values(g.m * g.k, 1), b = random_values(g.k * g.n, 2);
    std::vector<float> c(g.m * g.n);
    cpu::gemm(g, a.data(), b.data(), c.data());
    EXPECT_LE(difference({c.begin(), c.end()}, naive(g, a, b, c, [](float x) { return x; })), 2e-6);
  };
  expect_exact({.m = 16, .n = 2000, .k = 64});
  expect_exact({.m = 40, .n = 40, .k = 40});
  expect_exact({.m = 100, .n = 100, .k = 100, .precision = Precision::float32});
}

TEST(Precision, HasTheNamesOfTheOption) {
  EXPECT_EQ(precision_of("float32"), Precision::float32);
  EXPECT_EQ(precision_of("bf16"), Precision::bf16);
  EXPECT_THAT(error_text(Exit::usage, [] { precision_of("float16"); }), HasSubstr("'float16'"));
}

TEST(Precision, AProcessorWithoutBfloat16IsAClearError) {
  const ShellResult result = shell(
      "ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI tapestry bench --run.precision bf16 --model.n_layer 1 "
      "--model.n_embd 16 "
      "--model.n_head 2 --model.vocab_size 16 --seq-len 8 --repeats 1");
  EXPECT_EQ(result.status, 6);
  EXPECT_THAT(result.errors, testing::AllOf(HasSubstr("run.precision = bf16"), HasSubstr("AVX512-BF16"),
                                            HasSubstr("float32")));
}

}  // namespace
}  // namespace tapestry::test
