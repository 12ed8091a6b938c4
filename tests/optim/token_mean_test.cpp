#include "optim/token_mean.h"

#include <gtest/gtest.h>

namespace tapestry {
namespace {

TEST(TokenMean, WeighsPartsByTheirTokens) {
  TokenMean mean;
  mean.add(2, 1);
  mean.add(90, 9);
  EXPECT_DOUBLE_EQ(mean.mean(), 9.2);
  EXPECT_EQ(mean.tokens(), 10);
  EXPECT_EQ(mean.sum(), 92);
}

TEST(TokenMean, OfNothingIsAnError) { EXPECT_THROW(TokenMean().mean(), Error); }

}  // namespace
}  // namespace tapestry
