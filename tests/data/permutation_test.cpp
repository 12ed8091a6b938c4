#include "data/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

namespace tapestry {
namespace {

std::vector<int64_t> values(const Permutation& order) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < order.size(); ++i) all.push_back(order[i]);
  return all;
}

TEST(Permutation, HasEveryValueOnce) {
  for (const int64_t size : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4097}) {
    for (const uint64_t key : {0u, 1u, 77u}) {
      std::vector<int64_t> all = values(Permutation(size, key));
      std::sort(all.begin(), all.end());
      std::vector<int64_t> expected(static_cast<size_t>(size));
      std::iota(expected.begin(), expected.end(), 0);
      EXPECT_EQ(all, expected) << size;
    }
  }
}

TEST(Permutation, DependsOnTheKeyAlone) {
  EXPECT_EQ(values(Permutation(100, 5)), values(Permutation(100, 5)));
  EXPECT_NE(values(Permutation(100, 5)), values(Permutation(100, 6)));
}

TEST(Permutation, EveryOrderOfThreeComesAboutEquallyOften) {
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t key = 0; key < 6000; ++key) ++counts[values(Permutation(3, key))];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Permutation, LargeSizesWork) {
  const Permutation order(int64_t{1} << 40, 1);
  const int64_t value = order[(int64_t{1} << 40) - 1];
  EXPECT_GE(value, 0);
  EXPECT_LT(value, int64_t{1} << 40);
}

}  // namespace
}  // namespace tapestry
