#include "autograd/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "autograd/random.h"

namespace tapestry::test {
namespace {

TEST(Rows, PiecesCoverEveryElementOnce) {
  for (auto [rows, n] :
       {std::pair<int64_t, int64_t>{1, 1}, {7, 5}, {3, 40'000}, {20'000, 3}, {0, 5}, {5, 0}}) {
    std::vector<int> seen(rows * n, 0);
    cpu::for_row_pieces(rows, n, [&](int64_t row, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[row * n + i];
    });
    EXPECT_EQ(seen, std::vector<int>(rows * n, 1)) << rows << " x " << n;
  }
}

std::vector<float> sum_with(int threads, const std::vector<float>& x, int64_t rows, int64_t n,
                            bool accumulate) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  std::vector<float> sum(n, accumulate ? 1.0f : NAN);
  cpu::sum_rows(rows, n, sum.data(), accumulate, cpu::ElementOf<float>{x.data()});
  omp_set_num_threads(before);
  return sum;
}

TEST(Rows, SumsHaveTheSameBitsForAnyNumberOfThreads) {
  for (auto [rows, n] : {std::pair<int64_t, int64_t>{0, 3}, {1, 5000}, {64, 7}, {65, 1500}, {9000, 3}}) {
    std::vector<float> x(rows * n);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random_normal(1, i));
    for (bool accumulate : {false, true}) {
      const std::vector<float> one = sum_with(1, x, rows, n, accumulate);
      EXPECT_EQ(sum_with(2, x, rows, n, accumulate), one);
      EXPECT_EQ(sum_with(5, x, rows, n, accumulate), one);
      double last = accumulate;
      for (int64_t row = 0; row < rows; ++row) last += x[row * n + n - 1];
      EXPECT_NEAR(one.back(), last, 1e-3);
    }
  }
}

}  // namespace
}  // namespace tapestry::test
