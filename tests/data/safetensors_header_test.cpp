#include "data/safetensors_header.h"

#include <gmock/gmock.h>

#include "autograd/random.h"
#include "tests/support/error_text.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;
using testing::Not;

SafetensorsHeader parse(const std::string& text) { return parse_safetensors_header(text, "'x'"); }
std::string refusal(const std::string& text) {
  return error_text(Exit::input, [&] { parse(text); });
}
/// A header with the tensor a of these three fields.
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}
/// A header with F32 tensors of the names and offsets given.
std::string layout(const std::vector<std::pair<std::string, std::pair<int, int>>>& tensors) {
  std::string text;
  for (const auto& [name, span] : tensors) {
    text += join(text.empty() ? "" : ",", "\"", name, "\":{\"dtype\":\"F32\",\"shape\":[",
                 (span.second - span.first) / 4, "],\"data_offsets\":[", span.first, ",", span.second, "]}");
  }
  return "{" + text + "}";
}

TEST(SafetensorsHeader, ReadsEntriesAndMetadata) {
  const SafetensorsHeader header = parse(
      "{\"b\":{\"data_offsets\":[4,28],\"shape\":[2,3],\"dtype\":\"F32\"},\"__metadata__\":{\"format\":"
      "\"pt\"},"
      "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}        ");
  EXPECT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors.at("b").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(header.tensors.at("b").size, 6);
  EXPECT_EQ(header.tensors.at("a").dtype, "BF16");
  EXPECT_EQ(header.data_bytes, 28);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, TakesScalarsEmptyTensorsAndAnyName) {
  EXPECT_EQ(parse("{}").data_bytes, 0);
  EXPECT_EQ(parse(tensor("\"I64\"", "[]", "[0,8]")).tensors.at("a").size, 1);
  EXPECT_EQ(parse(tensor("\"F32\"", "[0,7]", "[0,0]")).tensors.at("a").size, 0);
  EXPECT_EQ(parse(layout({{"b", {0, 4}}, {"a", {4, 4}}, {"c", {4, 8}}, {"d", {0, 0}}})).data_bytes, 8);
  EXPECT_EQ(parse(layout({{"../a/b", {0, 4}}})).tensors.count("../a/b"), 1u);
}

TEST(SafetensorsHeader, RefusesTextThatIsNoHeader) {
  for (const char* text : {"", " {}", "\xEF\xBB\xBF{}", "[]", "null", "\"a\""}) {
    EXPECT_THAT(refusal(text), HasSubstr("does not start with '{'")) << text;
  }
  for (const char* text : {"{", "{}x", "{}{}", "{\"a\":NaN}", "{\"\xFF\":1}", "{\"a\" 1}"}) {
    EXPECT_THAT(refusal(text), HasSubstr("the header is not JSON")) << text;
  }
  for (const char* text : {"{\"a\":1}", "{\"a\":[]}", "{\"a\":\"F32\"}", "{\"a\":null}", "{\"a\":true}"}) {
    EXPECT_THAT(refusal(text), HasSubstr("'a': expected an object, found")) << text;
  }
}

TEST(SafetensorsHeader, RefusesBadFields) {
  const auto offset = [](const std::string& value) {
    return refusal(tensor("\"F32\"", "[1]", "[" + value + ",4]"));
  };
  for (const char* value : {"-1", "1.0", "1e2", "\"1\"", "null", "[0]", "{}", "18446744073709551616"}) {
    EXPECT_THAT(offset(value), HasSubstr("data_offsets of 'a': expected whole numbers from 0 on")) << value;
  }
  EXPECT_THAT(offset("1e400"), HasSubstr("the header is not JSON"));
  EXPECT_THAT(offset("18446744073709551615"), HasSubstr("too large"));
  EXPECT_THAT(offset("0,2"), HasSubstr("has 3 numbers, not begin and end"));
  EXPECT_THAT(refusal(tensor("\"F32\"", "[-1]", "[0,4]")), HasSubstr("shape of 'a'"));
  EXPECT_THAT(refusal(tensor("\"F32\"", "1", "[0,4]")), HasSubstr("shape of 'a': expected a list"));
  EXPECT_THAT(refusal(tensor("4", "[1]", "[0,4]")), HasSubstr("dtype of 'a': expected a text"));
  for (const char* dtype : {"\"F8_E4M3\"", "\"f32\"", "\"\"", "\"Q4\""}) {
    EXPECT_THAT(refusal(tensor(dtype, "[1]", "[0,4]")), HasSubstr("is not known")) << dtype;
  }
  EXPECT_THAT(refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}"), HasSubstr("needs the fields"));
  EXPECT_THAT(refusal("{\"a\":{\"kind\":1}}"), HasSubstr("unknown field 'kind'"));
  EXPECT_THAT(refusal("{\"__metadata__\":{\"a\":1}}"), HasSubstr("'a' of '__metadata__': expected a text"));
  EXPECT_THAT(refusal("{\"__metadata__\":{\"a\":{}}}"), HasSubstr("expected a text, found an object"));
}

TEST(SafetensorsHeader, RefusesWhatIsThereTwice) {
  EXPECT_THAT(refusal(layout({{"a", {0, 4}}, {"a", {4, 8}}})), HasSubstr("tensor 'a' is there twice"));
  EXPECT_THAT(refusal("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}"),
              HasSubstr("dtype of 'a' is there twice"));
  EXPECT_THAT(refusal("{\"__metadata__\":{},\"__metadata__\":{}}"), HasSubstr("is there twice"));
  EXPECT_THAT(refusal("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"),
              HasSubstr("'k' of '__metadata__' is there twice"));
}

TEST(SafetensorsHeader, RefusesDeepNesting) {
  for (const int depth : {10, 1000, 1'000'000}) {
    EXPECT_THAT(refusal("{\"a\":" + std::string(depth, '[')), HasSubstr("expected an object"));
    EXPECT_THAT(refusal("{\"a\":{\"shape\":" + std::string(depth, '[')), HasSubstr("shape of 'a'"));
  }
  EXPECT_THAT(refusal("{\"a\":{\"dtype\":{\"b\":{"), HasSubstr("expected a text, found an object"));
}

TEST(SafetensorsHeader, RefusesOffsetsThatDoNotFit) {
  EXPECT_THAT(refusal(layout({{"a", {0, 8}}, {"b", {4, 12}}})), HasSubstr("'b' begins at byte 4, inside"));
  EXPECT_THAT(refusal(layout({{"a", {0, 8}}, {"b", {0, 8}}})), HasSubstr("'b' begins at byte 0, inside"));
  EXPECT_THAT(refusal(layout({{"a", {0, 8}}, {"b", {12, 16}}})),
              HasSubstr("bytes 8 to 12 before tensor 'b'"));
  EXPECT_THAT(refusal(layout({{"a", {4, 8}}})), HasSubstr("bytes 0 to 4 before tensor 'a'"));
  EXPECT_THAT(refusal(tensor("\"F32\"", "[1]", "[4,0]")), HasSubstr("ends at byte 0, before its begin 4"));
  EXPECT_THAT(refusal(tensor("\"F32\"", "[2,3]", "[0,4]")),
              HasSubstr("of F32 [2, 3] needs 24 bytes, its offsets span 4"));
  EXPECT_THAT(refusal(tensor("\"F16\"", "[2,3]", "[0,24]")), HasSubstr("needs 12 bytes"));
  const std::string huge = "4611686018427387904";
  for (const std::string& shape : {"[" + huge + ",2]", "[" + huge + "]", "[" + huge + "," + huge + ",0]"}) {
    EXPECT_THAT(refusal(tensor("\"F32\"", shape, "[0,0]")), HasSubstr("impossible shape")) << shape;
  }
}

TEST(SafetensorsHeader, RefusesWhatOnlyAnAttackerWrites) {
  std::vector<std::pair<std::string, std::pair<int, int>>> on_one_range;
  for (int i = 0; i < 1000; ++i) on_one_range.push_back({join(i), {0, 8}});
  EXPECT_THAT(refusal(layout(on_one_range)), HasSubstr("inside the tensor before it"));
  std::string many = "{";
  for (int i = 0; i < 100'001; ++i) {
    many += join(i ? "," : "", "\"", i, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
  }
  EXPECT_THAT(refusal(many + "}"), HasSubstr("more than 100000 tensors"));
  const std::string long_name = refusal(layout({{std::string(1 << 20, 'n'), {0, 4}}}));
  EXPECT_THAT(long_name, HasSubstr("has 1048576 bytes"));
  EXPECT_LT(long_name.size(), 300u);
  EXPECT_LT(refusal("{\"__metadata__\":{\"" + std::string(1 << 20, 'k') + "\\n\":1}}").size(), 300u);
  EXPECT_THAT(refusal(layout({{"", {0, 4}}})), HasSubstr("has 0 bytes"));
  EXPECT_THAT(refusal(layout({{"a\\u0000b", {0, 4}}})), HasSubstr("'a\\u0000b' holds control characters"));
  EXPECT_THAT(refusal(layout({{"a\\nb", {0, 4}}})), Not(HasSubstr("\n")));
  std::string axes = "[1";
  for (int i = 0; i < 1'000'000; ++i) axes += ",1";
  EXPECT_THAT(refusal(tensor("\"F32\"", axes + "]", "[0,4]")), HasSubstr("more than 32 numbers"));
}

TEST(SafetensorsHeader, ChangedBytesAreReadOrRefused) {
  const std::string good =
      "{\"__metadata__\":{\"format\":\"pt\"},\"wte.weight\":{\"dtype\":\"F32\",\"shape\":[3,4],"
      "\"data_offsets\":[0,48]},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[48,56]}}";
  const std::string alphabet = "{}[]\",:0123456789-.eFBIU abn\\\xC3\xFF";
  int refused = 0;
  constexpr int cases = 20'000;
  for (int i = 0; i < cases; ++i) {
    std::string text = good;
    for (uint64_t k = 0; k <= random_bits(i, 0) % 3; ++k) {
      const size_t at = random_bits(i, 3 * k + 1) % text.size();
      const char byte = alphabet[random_bits(i, 3 * k + 2) % alphabet.size()];
      switch (random_bits(i, 3 * k + 3) % 3) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        default:
          text.erase(at, 1 + random_bits(i, 99) % 9);
      }
    }
    const std::string message = refusal(text);
    if (message == "no error") continue;
    ++refused;
    EXPECT_TRUE(message.starts_with("'x': ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 600u);
  }
  EXPECT_GT(refused, cases / 2);
  EXPECT_LT(refused, cases);
}

}  // namespace
}  // namespace tapestry::test
