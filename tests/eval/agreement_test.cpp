#include "eval/agreement.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/random.h"

namespace tapestry::test {
namespace {

TEST(Agreement, OfVectors) {
  const std::vector<float> a = {1, 2, 2}, b = {2, 4, 4}, c = {-2, 1, 0}, zero = {0, 0, 0};
  EXPECT_DOUBLE_EQ(compare_vectors(a, b).cosine, 1);
  EXPECT_DOUBLE_EQ(compare_vectors(a, b).mse, 3);
  EXPECT_DOUBLE_EQ(compare_vectors(a, c).cosine, 0);
  EXPECT_EQ(compare_vectors(zero, zero).cosine, 1);
  EXPECT_EQ(compare_vectors(zero, a).cosine, 0);
}

TEST(Agreement, OfLogits) {
  const std::vector<float> a = {0, std::log(2.0f), std::log(5.0f)},
                           b = {std::log(4.0f), std::log(2.0f), std::log(2.0f)};
  const LogitAgreement found = compare_logits(a, b, 1);
  EXPECT_NEAR(found.kl, std::log(0.125 / 0.5) / 8 + std::log(0.625 / 0.25) * 5 / 8, 1e-6);
  EXPECT_NEAR(found.nll_a, std::log(4), 1e-6);
  EXPECT_NEAR(found.nll_b, std::log(4), 1e-6);
  EXPECT_EQ(found.top1, 0);
  EXPECT_EQ(found.top5, 1);  // all three tokens
  EXPECT_EQ(found.top10, 1);
  EXPECT_NEAR(compare_logits(a, a, 0).kl, 0, 1e-12);
}

TEST(Agreement, OfTheMostLikelyTokens) {
  std::vector<float> a(100), b(100);
  for (int i = 0; i < 100; ++i) a[i] = b[i] = static_cast<float>(random_normal(1, i) - 10);
  const int top[10] = {37, 4, 99, 0, 50, 51, 52, 53, 54, 55};
  for (int i = 0; i < 10; ++i) a[top[i]] = b[top[i]] = static_cast<float>(20 - i);
  std::swap(b[37], b[4]);   // among the first five
  std::swap(b[50], b[51]);  // the fifth against the sixth
  std::swap(b[55], b[70]);  // the tenth
  const LogitAgreement found = compare_logits(a, b, 0);
  EXPECT_EQ(found.top1, 0);
  EXPECT_DOUBLE_EQ(found.top5, 0.8);
  EXPECT_DOUBLE_EQ(found.top10, 0.9);
}

TEST(Agreement, LargeLogitsDoNotOverflow) {
  const std::vector<float> a = {1000, 0}, b = {0, 1000};
  EXPECT_NEAR(compare_logits(a, b, 0).kl, 1000, 1e-9);
}

TEST(Estimate, ErrorOfTheMean) {
  const Estimate found = estimate({1, 2, 3, 6});
  EXPECT_DOUBLE_EQ(found.mean, 3);
  EXPECT_DOUBLE_EQ(found.error, std::sqrt(14.0 / 3 / 4));
  EXPECT_TRUE(std::isnan(estimate({2}).error));
}

}  // namespace
}  // namespace tapestry::test
