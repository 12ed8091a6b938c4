#include <gtest/gtest.h>

#include <cmath>

#include "layers/attention/factory.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

/// Lengths around 2^16, where indices of 16 bits and products of 32 bits overflow.
constexpr int64_t kShort = 65535, kLong = 65537, kWidth = 8;

class LongSequence : public testing::TestWithParam<std::string> {};

TEST_P(LongSequence, TheEndOfAShorterRunIsTheSameInALongerOne) {
  Module root({.seed = 1});
  const auto attention =
      attention_kind(GetParam()).make(root, {.n_embd = kWidth, .n_head = 1, .rotary = true}, {}, 0);
  const Tensor x = random_tensor({1, kLong, kWidth}, 5, DType::float32);
  const auto values = x.values<float>();
  const Tensor start =
      Tensor::from(std::vector<float>(values.begin(), values.begin() + kShort * kWidth), {1, kShort, kWidth});
  const auto longer = (*attention)(x).values<float>(), shorter = (*attention)(start).values<float>();
  double worst = 0, largest = 0;
  for (int64_t i = (kShort - 300) * kWidth; i < kShort * kWidth; ++i) {
    ASSERT_TRUE(std::isfinite(longer[i]));
    worst = std::max<double>(worst, std::abs(longer[i] - shorter[i]));
    largest = std::max<double>(largest, std::abs(shorter[i]));
  }
  EXPECT_LE(worst, 1e-5 * largest);
  EXPECT_GT(largest, 0);
}

// Those whose cost does not grow with the square of the length.
INSTANTIATE_TEST_SUITE_P(Attention, LongSequence,
                         testing::Values("bsbr", "sliding_window", "linear", "delta_net", "gau"));

}  // namespace
}  // namespace tapestry::test
