#include "autograd/triangular.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

/// (I + tril(A, -1)) X, or its transpose times X: A [n, n], X [n, columns].
std::vector<double> product(bool transpose, int64_t n, int64_t columns, const std::vector<double>& a,
                            const std::vector<double>& x) {
  std::vector<double> y = x;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const int64_t to = transpose ? j : i, from = transpose ? i : j;
      for (int64_t col = 0; col < columns; ++col)
        y[to * columns + col] += a[i * n + j] * x[from * columns + col];
    }
  }
  return y;
}

template <class T>
void expect_solved(bool transpose, int64_t n, int64_t columns, double tolerance) {
  const std::vector<double> a = random_tensor({n, n}, 1, DType::float64, 0.1).values<double>(),
                            x = random_tensor({n, columns}, 2).values<double>(),
                            b = product(transpose, n, columns, a, x);
  const int64_t ld = columns + 3;
  std::vector<T> matrix(a.begin(), a.end()), solved(n * ld, T(7));
  for (int64_t i = 0; i < n * columns; ++i) solved[i / columns * ld + i % columns] = static_cast<T>(b[i]);
  cpu::solve_unit_lower(transpose, n, columns, matrix.data(), solved.data(), ld);
  std::vector<double> found;
  for (int64_t i = 0; i < n * ld; ++i) {
    if (i % ld < columns) {
      found.push_back(solved[i]);
    } else {
      EXPECT_EQ(solved[i], T(7)) << "wrote between the rows";
    }
  }
  EXPECT_LE(difference(found, x), tolerance);
}

TEST(SolveUnitLower, GivesBackWhatWasMultiplied) {
  for (const bool transpose : {false, true}) {
    for (const int64_t n : {1, 2, 7, 64, 100}) {
      for (const int64_t columns : {1, 5, 64}) {
        expect_solved<double>(transpose, n, columns, 1e-11);
        expect_solved<float>(transpose, n, columns, 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace tapestry::test
