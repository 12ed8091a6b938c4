#include "data/utf8.h"

#include <gtest/gtest.h>

#include "tests/support/small_text.h"

namespace tapestry {
namespace {

TEST(Utf8, KnowsWellFormedText) {
  for (const char* good : {"", "a", "é", "日本語", "😀", "\u07ff\u0800\uffff\U00010000\U0010ffff"}) {
    EXPECT_EQ(valid_utf8(good).valid, std::string_view(good).size());
    EXPECT_FALSE(valid_utf8(good).incomplete);
  }
}

TEST(Utf8, FindsTheFirstBadByte) {
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5", "\xff", "\xc3(", "\xe2\x82(",
                          "\xe9"
                          "abc"}) {
    const std::string text = std::string("ok ") + bad;
    EXPECT_EQ(valid_utf8(text).valid, 3u) << bad;
    EXPECT_FALSE(valid_utf8(text).incomplete) << bad;
  }
}

TEST(Utf8, KnowsACharacterThatIsCutOff) {
  for (const std::string whole : {"é", "€", "😀"})
    for (size_t size = 1; size < whole.size(); ++size) {
      const Utf8Prefix prefix = valid_utf8("a" + whole.substr(0, size));
      EXPECT_EQ(prefix.valid, 1u);
      EXPECT_TRUE(prefix.incomplete);
    }
}

TEST(Utf8, EveryCharacterRoundTrips) {
  for (char32_t c = 0; c < 0x110000; c = c == 0xD7FF ? 0xE000 : c + 1) {
    std::string text;
    append_utf8(c, text);
    ASSERT_EQ(valid_utf8(text).valid, text.size()) << static_cast<uint32_t>(c);
    size_t at = 0;
    ASSERT_EQ(next_utf8(text, at), c);
    ASSERT_EQ(at, text.size());
  }
}

TEST(Utf8Stream, HoldsBackIncompleteCharactersOnly) {
  const std::string text = small_text(200, 1);
  for (size_t step = 1; step < 8; ++step) {
    Utf8Stream stream;
    std::string shown;
    for (size_t at = 0; at < text.size(); at += step) {
      const std::string ready = stream.push(std::string_view(text).substr(at, step));
      EXPECT_EQ(valid_utf8(ready).valid, ready.size());
      shown += ready;
      EXPECT_LT(std::min(at + step, text.size()) - shown.size(), 4u);
    }
    EXPECT_EQ(shown, text);
    EXPECT_EQ(stream.finish(), "");
  }
}

TEST(Utf8Stream, LosesNoByteOfBadText) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xff\xe2\x82"), "a\xff");
  EXPECT_EQ(stream.push("x\xc3"), "\xe2\x82x");
  EXPECT_EQ(stream.finish(), "\xc3");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace tapestry
