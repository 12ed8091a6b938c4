#include "base/options.h"

#include <gmock/gmock.h>

#include "tests/base/example_options.h"

namespace tapestry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <class V>
V parsed(const std::string& text, const Allowed& allowed = {}) {
  V value{};
  parse_value(text, allowed, value);
  return value;
}

template <class V>
bool refused(const std::string& text, const Allowed& allowed = {}) {
  return !usage_error([&] { parsed<V>(text, allowed); }).empty();
}

TEST(Options, IntegersAreDigitsOnly) {
  EXPECT_EQ(parsed<int64_t>("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parsed<int64_t>("-9223372036854775808"), INT64_MIN);
  for (const char* text :
       {"", " 1", "1 ", "1e3", "1.0", "0x10", "+1", "--1", "9223372036854775808", "1_000", "nan"}) {
    EXPECT_TRUE(refused<int64_t>(text)) << text;
  }
}

TEST(Options, NumbersAreFinite) {
  EXPECT_EQ(parsed<double>("3e-4"), 3e-4);
  EXPECT_EQ(parsed<double>("-.5"), -0.5);
  for (const char* text : {"", "nan", "inf", "-inf", "infinity", "1e999", "1,5", "0x1p3", "1.0f", " 1"}) {
    EXPECT_TRUE(refused<double>(text)) << text;
  }
}

TEST(Options, YesNoHasFourSpellings) {
  for (const char* text : {"true", "yes", "on", "1"}) EXPECT_TRUE(parsed<bool>(text)) << text;
  for (const char* text : {"false", "no", "off", "0"}) EXPECT_FALSE(parsed<bool>(text)) << text;
  for (const char* text : {"", "True", "2", "y"}) EXPECT_TRUE(refused<bool>(text)) << text;
}

TEST(Options, RangesAreKept) {
  EXPECT_FALSE(refused<int64_t>("1", at_least(1)));
  EXPECT_TRUE(refused<int64_t>("0", at_least(1)));
  EXPECT_TRUE(refused<double>("0", above(0)));
  EXPECT_FALSE(refused<double>("1", between(0, 1)));
  EXPECT_TRUE(refused<double>("1", half_open(0, 1)));
  EXPECT_FALSE(refused<double>("0", half_open(0, 1)));
  EXPECT_TRUE(refused<std::string>("c", one_of({"a", "b"})));
  EXPECT_TRUE(refused<std::string>("", one_of({"a", "b"})));
  EXPECT_TRUE(refused<std::vector<std::string>>("a,c", one_of({"a", "b"})));
}

TEST(Options, MessageSaysWhatIsAllowed) {
  const auto message = [](const Allowed& allowed) {
    return usage_error([&] { parsed<int64_t>("x", allowed); });
  };
  EXPECT_EQ(message({}), "must be an integer");
  EXPECT_EQ(message(at_least(1)), "must be an integer, at least 1");
  EXPECT_EQ(message(above(0)), "must be an integer, above 0");
  EXPECT_EQ(message(between(1, 9)), "must be an integer, between 1 and 9");
  EXPECT_EQ(message(half_open(0, 1)), "must be an integer, at least 0 and below 1");
  EXPECT_EQ(describe(one_of({"a", "b"})), "one of a, b");
}

TEST(Options, ListsSplitAtCommas) {
  using List = std::vector<std::string>;
  EXPECT_THAT(parsed<List>("a, b c ,d"), ElementsAre("a", "b c", "d"));
  EXPECT_THAT(parsed<List>(R"(a\,b,c\\)"), ElementsAre("a,b", "c\\"));
  EXPECT_THAT(parsed<List>(""), IsEmpty());
  EXPECT_TRUE(refused<List>("a,,b"));
  EXPECT_TRUE(refused<List>("a,"));
}

TEST(Options, TextReadsBackToTheValue) {
  for (const double value : {0.1, 3e-4, 1e300, -5e-324, 1.0 / 3, 123456789.0}) {
    EXPECT_EQ(parsed<double>(format_value(value)), value);
  }
  const std::vector<std::string> list = {"a,b", " c ", "\\", "d  e", "\\,"};
  EXPECT_EQ(parsed<std::vector<std::string>>(format_value(list)), list);
}

TEST(Options, TableKnowsDefaultsAndKinds) {
  const Option* chunk = block_options().find("chunk");
  ASSERT_NE(chunk, nullptr);
  EXPECT_EQ(chunk->kind, "integer");
  EXPECT_EQ(chunk->default_text, "64");
  EXPECT_EQ(block_options().find("chunks"), nullptr);
  EXPECT_EQ(net_options().find("attention")->default_text, "block");
}

TEST(Options, AKeyThatAStoredModelLacksIsWhatItFormerlyWas) {
  auto table = block_options();
  table.formerly("read", "state");
  Config config;
  fill_former_options({&table}, config);
  EXPECT_EQ(config.get(block_options()).read, "state");
  EXPECT_EQ(config.values().size(), 1u);
  config.set("block.read", "tokens", "file");
  fill_former_options({&table}, config);
  EXPECT_EQ(config.get(block_options()).read, "tokens");
}

}  // namespace
}  // namespace tapestry
