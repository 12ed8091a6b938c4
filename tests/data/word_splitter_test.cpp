#include "data/word_splitter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tapestry {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& text, bool last = true) {
  Words words;
  WordSplitter().split(text, last, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(WordSplitter, CutsAsThePatternOfGpt2) {
  EXPECT_EQ(split("Hello world, it's 12 o'clock"),
            (Words{"Hello", " world", ",", " it", "'s", " 12", " o", "'", "clock"}));
  EXPECT_EQ(split("we'll'd'S  x\n\ny "),
            (Words{"we", "'ll", "'d", "'", "S", " ", " x", "\n", "\n", "y", " "}));
  EXPECT_EQ(split("½³ é語"), (Words{"½³", " é語"}));
  EXPECT_EQ(split("a\u00a0b\u3000c"), (Words{"a", "\u00a0", "b", "\u3000", "c"}));
  EXPECT_TRUE(split("").empty());
}

// PCRE2's \s holds it, Unicode's White_Space since 6.3 does not.
TEST(WordSplitter, TheMongolianVowelSeparatorIsNoSpace) {
  EXPECT_EQ(split("a\u180e!"), (Words{"a", "\u180e!"}));
}

TEST(WordSplitter, KeepsBackWhatLaterTextMayChange) {
  EXPECT_EQ(split("it's a loom's", false), (Words{"it", "'s", " a"}));
  EXPECT_TRUE(split("'ll", false).empty());
  EXPECT_TRUE(split("lengthening", false).empty());
}

}  // namespace
}  // namespace tapestry
