#include "autograd/gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/random.h"
#include "base/error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

template <class T>
std::vector<T> random_values(int64_t n, uint64_t key) {
  std::vector<T> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<T>(random_normal(key, i));
  return values;
}

template <class T>
void naive_gemm(const Gemm& g, const T* a, const T* b, double* c) {
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < g.k; ++l) {
        const double x = g.transpose_a ? a[l * g.row_a() + i] : a[i * g.row_a() + l];
        const double y = g.transpose_b ? b[j * g.row_b() + l] : b[l * g.row_b() + j];
        sum += x * y;
      }
      double& out = c[i * g.row_c() + j];
      out = g.alpha * sum + (g.beta == 0 ? 0 : g.beta * out);
    }
  }
}

/// Against the naive triple loop; with beta = 0 C starts as NaN. Everything of C outside the product must
/// keep its value.
template <class T>
void expect_product(const Gemm& g, int64_t size = 4000) {
  const std::vector<T> a = random_values<T>(size, 1), b = random_values<T>(size, 2);
  std::vector<T> c = random_values<T>(size, 3);
  std::vector<double> expected(c.begin(), c.end());
  const auto& [x, y, z] = g.batch;
  for (int64_t i = 0; i < g.batch_size(); ++i) {
    const int64_t iz = i % z.count, iy = i / z.count % y.count, ix = i / z.count / y.count;
    const int64_t at_c = ix * x.c + iy * y.c + iz * z.c;
    naive_gemm(g, a.data() + ix * x.a + iy * y.a + iz * z.a, b.data() + ix * x.b + iy * y.b + iz * z.b,
               expected.data() + at_c);
    for (int64_t row = 0; g.beta == 0 && row < g.m; ++row)
      std::fill_n(c.begin() + at_c + row * g.row_c(), g.n, static_cast<T>(NAN));
  }
  cpu::gemm<T>(g, a.data(), b.data(), c.data());
  const double tolerance = sizeof(T) == 8 ? 1e-12 : 1e-5;
  EXPECT_LE(difference(std::vector<double>(c.begin(), c.end()), expected), tolerance)
      << "m " << g.m << ", n " << g.n << ", k " << g.k << ", transposed " << g.transpose_a << g.transpose_b
      << ", alpha " << g.alpha << ", beta " << g.beta;
}

void expect_products(const Gemm& g) {
  expect_product<float>(g);
  expect_product<double>(g);
}

TEST(Gemm, EveryTransposeAndSize) {
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      for (auto [m, n, k] :
           {std::array<int64_t, 3>{1, 1, 1}, {1, 7, 5}, {9, 1, 33}, {17, 13, 1}, {31, 33, 29}}) {
        Gemm g{.m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b};
        expect_products(g);
        g.alpha = -0.5;
        g.beta = 1;
        expect_products(g);
        g.beta = 0.25;
        expect_products(g);
      }
    }
  }
}

TEST(Gemm, RowsWithStrides) {
  for (bool transpose : {false, true}) {
    expect_products({.m = 7,
                     .n = 9,
                     .k = 5,
                     .transpose_a = transpose,
                     .transpose_b = !transpose,
                     .beta = 1,
                     .lda = 23,
                     .ldb = 31,
                     .ldc = 40});
    expect_products({.m = 7, .n = 9, .k = 5, .transpose_b = transpose, .lda = 23, .ldb = 31, .ldc = 40});
  }
}

/// Heads as they lie in [B, T, H, d]: S [B, H, T, T] = Q K^T.
TEST(Gemm, BatchesOverThreeAxes) {
  const int64_t batch = 2, chunks = 3, heads = 4, t = 5, d = 6, c = heads * d;
  Gemm g{.m = t, .n = t, .k = d, .transpose_b = true, .lda = c, .ldb = c};
  g.batch = {{{batch, chunks * t * c, chunks * t * c, chunks * heads * t * t},
              {chunks, t * c, t * c, heads * t * t},
              {heads, d, d, t * t}}};
  expect_products(g);
  g.beta = 1;
  expect_products(g);
}

TEST(Gemm, ABatchMayShareOneOperand) {
  Gemm g{.m = 3, .n = 4, .k = 5};
  g.batch[1] = {7, 15, 0, 12};
  expect_products(g);
}

TEST(Gemm, AnEmptySumIsBetaTimesC) {
  expect_products({.m = 3, .n = 4, .k = 0});
  expect_products({.m = 3, .n = 4, .k = 0, .beta = 0.5});
  expect_products({.m = 3, .n = 4, .k = 0, .transpose_a = true, .transpose_b = true, .beta = 1, .ldc = 9});
}

TEST(Gemm, EmptyProductsTouchNothing) {
  expect_products({.m = 0, .n = 4, .k = 3, .beta = 2});
  expect_products({.m = 3, .n = 0, .k = 3, .beta = 2});
}

TEST(Gemm, LargeProductsUseEveryThread) {
  expect_product<float>({.m = 300, .n = 401, .k = 450, .beta = 1}, 450 * 450);
  Gemm pair{.m = 370, .n = 370, .k = 370};
  pair.batch[2] = {2, 370 * 370, 0, 370 * 370};
  expect_product<float>(pair, 2 * 370 * 370);
}

}  // namespace
}  // namespace tapestry::test
