#include "eval/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "autograd/random.h"
#include "base/error.h"

namespace tapestry::test {
namespace {

const std::vector<float> kLogits = {std::log(0.1f), std::log(0.5f), std::log(0.15f), std::log(0.25f)};

std::map<int64_t, double> frequencies(const SamplingOptions& options) {
  std::map<int64_t, double> shares;
  constexpr int draws = 40000;
  for (int i = 0; i < draws; ++i) shares[sample_token(kLogits, options, random_uniform(3, i))] += 1.0 / draws;
  return shares;
}

TEST(Sampling, FollowsTheProbabilities) {
  const auto shares = frequencies({.temperature = 1});
  EXPECT_NEAR(shares.at(0), 0.1, 0.01);
  EXPECT_NEAR(shares.at(1), 0.5, 0.01);
  EXPECT_NEAR(shares.at(2), 0.15, 0.01);
  EXPECT_NEAR(shares.at(3), 0.25, 0.01);
}

TEST(Sampling, TemperatureSharpens) {
  const auto shares = frequencies({.temperature = 0.5});
  EXPECT_NEAR(shares.at(1), 0.25 / 0.345, 0.01);
  EXPECT_EQ(sample_token(kLogits, {.temperature = 0}, 0.999), 1);
}

TEST(Sampling, TopKKeepsTheMostLikely) {
  const auto shares = frequencies({.temperature = 1, .top_k = 2});
  EXPECT_EQ(shares.size(), 2u);
  EXPECT_NEAR(shares.at(1), 0.5 / 0.75, 0.01);
}

TEST(Sampling, TopPKeepsAsFewAsReachIt) {
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 0.4}).size(), 1u);
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 0.6}).size(), 2u);
  EXPECT_EQ(frequencies({.temperature = 1, .top_p = 0.8}).size(), 3u);
}

TEST(Sampling, RefusesNan) {
  const std::vector<float> logits = {0, NAN};
  EXPECT_THROW(sample_token(logits, {}, 0.5), Error);
}

}  // namespace
}  // namespace tapestry::test
