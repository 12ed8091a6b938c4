#include "base/nearest.h"

#include <gtest/gtest.h>

namespace tapestry {
namespace {

TEST(Nearest, EditDistance) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", "abc"), 0);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("chunk", "chukn"), 1);  // neighbours swapped
  EXPECT_EQ(edit_distance("abcd", "acd"), 1);
  EXPECT_EQ(edit_distance(std::string(64, 'a'), std::string(63, 'a')), 1);
  EXPECT_EQ(edit_distance(std::string(100'000, 'a'), "abc"), 100'000);
}

TEST(Nearest, BelowItsLimitTheDistanceIsExact) {
  const std::vector<std::string> words = {"",       "a",    "ab",     "ba",    "chunk",   "chukn",
                                          "n_embd", "embd", "n_head", "nhaed", "seq_len", "sqe_len"};
  for (const std::string& a : words) {
    for (const std::string& b : words) {
      const int distance = edit_distance(a, b);
      for (int limit = -1; limit < 9; ++limit) {
        const int limited = edit_distance(a, b, limit);
        EXPECT_TRUE(distance <= limit ? limited == distance : limited > limit)
            << a << " " << b << " " << limit << " " << limited;
      }
    }
  }
}

TEST(Nearest, NamesAllThatAreEquallyNear) {
  EXPECT_EQ(did_you_mean({"beta1", "beta2", "eps"}, "beta3"), "did you mean beta1 or beta2?");
  EXPECT_EQ(did_you_mean({"eval", "train"}, "trian"), "did you mean train?");
  EXPECT_EQ(did_you_mean({"a1", "a2", "a3", "a4"}, "a"), "did you mean a1, a2 or a3?");
  EXPECT_EQ(did_you_mean({"chunk", "chunk"}, "chunc"), "did you mean chunk?");
  EXPECT_EQ(did_you_mean({}, "x"), "");
}

}  // namespace
}  // namespace tapestry
