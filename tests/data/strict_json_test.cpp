#include "data/strict_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/error_text.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  return error_text(Exit::input, [&] { parse_strict_json(text, "'x.json'"); });
}

TEST(StrictJson, ReadsWhatIsWellFormed) {
  const auto value = parse_strict_json(" {\"a\": [1, {\"a\": null}], \"b\": \"\\u00e9\"} \n", "x");
  EXPECT_EQ(value["a"][0], 1);
  EXPECT_TRUE(value["a"][1]["a"].is_null());
  EXPECT_EQ(value["b"], "\u00e9");
}

TEST(StrictJson, RefusesTheRest) {
  for (const char* text : {"", "{", "{\"a\": 1} x", "{\"a\": NaN}", "{\"a\": 1e400}", "[1,]", "\"\xFF\""}) {
    EXPECT_THAT(refusal(text), HasSubstr("'x.json': ")) << text;
  }
  EXPECT_THAT(refusal("\xEF\xBB\xBF{}"), HasSubstr("byte order mark"));
  EXPECT_THAT(refusal("{\"a\": 1, \"a\": 2}"), HasSubstr("the key 'a' is there twice"));
  EXPECT_THAT(refusal("{\"b\": [{\"a\": 1, \"a\": 2}]}"), HasSubstr("the key 'a' is there twice"));
}

TEST(StrictJson, LimitsTheDepth) {
  const auto nested = [](int depth, char open, char close) {
    return std::string(depth, open) + std::string(depth, close);
  };
  EXPECT_EQ(refusal(nested(8, '[', ']')), "no error");
  for (const int depth : {9, 1000, 1'000'000}) {
    EXPECT_THAT(refusal(nested(depth, '[', ']')), HasSubstr("nested deeper than 8 levels"));
  }
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("nested deeper than 8 levels"));
}

TEST(StrictJson, MessagesStayShortAndPrintable) {
  EXPECT_LT(refusal("{\"" + std::string(1'000'000, 'k') + "\": }").size(), 300u);
  EXPECT_EQ(join(shown("a\n\"\xFF")), "'a\\n\\\"\uFFFD'");
  EXPECT_LT(join(shown(std::string(1000, 'x'))).size(), 110u);
}

}  // namespace
}  // namespace tapestry::test
