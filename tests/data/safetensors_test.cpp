#include "data/safetensors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "autograd/random.h"
#include "base/resources.h"
#include "tests/support/error_text.h"
#include "tests/support/fixture_file.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string bytes_of(uint64_t length) { return {reinterpret_cast<const char*>(&length), sizeof length}; }
std::string file_of(const std::string& header, const std::string& data) {
  return bytes_of(header.size()) + header + data;
}
std::string open_refusal(const std::string& path) {
  return error_text(Exit::input, [&] { SafetensorsFile file(path); });
}
std::string refusal(const std::string& content) {
  const TemporaryFolder folder;
  write_text(folder / "x.safetensors", content);
  const std::string message = open_refusal(folder / "x.safetensors");
  EXPECT_TRUE(message == "no error" || message.find("x.safetensors") != std::string::npos) << message;
  return message;
}
const std::string kHeader = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";

std::vector<float> read(const SafetensorsModel& model, const std::string& name) {
  std::vector<float> values(model.entry(name).size);
  model.read(name, values);
  return values;
}

/// A file with one tensor `a`.
template <class Element>
std::vector<float> read_as(const std::string& dtype, const std::vector<Element>& elements) {
  const TemporaryFolder folder;
  const std::string data(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(Element));
  const std::string header = join("{\"a\":{\"dtype\":\"", dtype, "\",\"shape\":[", elements.size(),
                                  "],\"data_offsets\":[0,", data.size(), "]}}");
  write_text(folder / "x.safetensors", file_of(header, data));
  return read(SafetensorsModel(folder / "x.safetensors"), "a");
}

TEST(Safetensors, RefusesHeadersThatDoNotFitTheFile) {
  const std::string good = file_of(kHeader, std::string(8, 'x'));
  EXPECT_EQ(refusal(good), "no error");
  for (size_t size = 0; size <= 16; ++size) EXPECT_NE(refusal(good.substr(0, size)), "no error") << size;
  EXPECT_THAT(refusal(std::string(7, '\0')), HasSubstr("has 7 bytes"));
  const uint64_t one = 1;
  for (const uint64_t length : {one << 31, one << 63, ~uint64_t{0}, uint64_t{100'000'001}}) {
    EXPECT_THAT(refusal(bytes_of(length) + kHeader), HasSubstr("at most 100000000 are allowed")) << length;
  }
  EXPECT_THAT(refusal(bytes_of(100'000'000) + kHeader), HasSubstr("is truncated"));
  EXPECT_THAT(refusal(bytes_of(kHeader.size() + 1) + kHeader), HasSubstr("is truncated: the header has"));
  EXPECT_THAT(refusal(bytes_of(0) + kHeader), HasSubstr("does not start with '{'"));
}

TEST(Safetensors, RefusesDataOfAnotherSize) {
  EXPECT_THAT(refusal(file_of(kHeader, std::string(7, 'x'))),
              HasSubstr("is truncated: its tensors have 8 bytes, 7 are there"));
  EXPECT_THAT(refusal(file_of(kHeader, std::string(9, 'x'))),
              HasSubstr("has 1 bytes behind its last tensor"));
  EXPECT_THAT(refusal(file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[4611686018427387904],\"data_offsets\":[0,"
                              "4611686018427387904]}}",
                              "x")),
              HasSubstr("is truncated"));
}

TEST(Safetensors, AHostileLengthCostsNoMemoryAndNoTime) {
  const int64_t before = peak_memory_bytes();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NE(refusal(bytes_of(99'999'999) + "{"), "no error");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_LT(peak_memory_bytes() - before, 10 << 20);
}

TEST(Safetensors, TakesUnalignedHeaders) {
  for (int spaces = 0; spaces < 9; ++spaces) {
    EXPECT_EQ(refusal(file_of(kHeader + std::string(spaces, ' '), std::string(8, 'x'))), "no error");
  }
}

TEST(Safetensors, ConvertsEveryFloatingType) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {0.f, -0.f, 1.f, -2.5f, 3e38f, inf, 1e-40f};
  EXPECT_EQ(read_as("F32", values), values);
  EXPECT_EQ(read_as<double>("F64", {1.0 + 1e-12, -2.5, 1e300}), (std::vector<float>{1.f, -2.5f, inf}));
  EXPECT_EQ(read_as<uint16_t>("F16", {0x3C00, 0xC000, 0x0001, 0x7BFF, 0xFC00, 0x3555}),
            (std::vector<float>{1.f, -2.f, std::ldexp(1.f, -24), 65504.f, -inf, 0.333251953125f}));
  EXPECT_EQ(read_as<uint16_t>("BF16", {0x3F80, 0xC000, 0x0001, 0x7F7F, 0xFF80}),
            (std::vector<float>{1.f, -2.f, std::ldexp(1.f, -133), 0x1.FEp127f, -inf}));
  EXPECT_TRUE(std::isnan(read_as<uint16_t>("BF16", {0x7FC0})[0]));
  EXPECT_TRUE(std::isnan(read_as<uint16_t>("F16", {0x7E00})[0]));
  EXPECT_THAT(error_text(Exit::input, [] { read_as<int64_t>("I64", {1}); }), HasSubstr("'a' holds I64"));
}

TEST(Safetensors, ConvertsTensorsLongerThanAPiece) {
  std::vector<double> values(70'001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = random_normal(1, i);
  const std::vector<float> got = read_as("F64", values);
  EXPECT_EQ(got, std::vector<float>(values.begin(), values.end()));
}

TEST(Safetensors, ReadsIntoFittingBuffersOnly) {
  const TemporaryFolder folder;
  write_text(folder / "x.safetensors", file_of(kHeader, std::string(8, 'x')));
  const SafetensorsFile file(folder / "x.safetensors");
  std::vector<float> three(3), two(2);
  EXPECT_THAT(error_text(Exit::usage, [&] { file.read("a", three); }),
              HasSubstr("has 2 elements, asked for 3"));
  EXPECT_THAT(error_text(Exit::input, [&] { file.read("b", two); }), HasSubstr("has no tensor 'b'"));
}

TEST(Safetensors, AFileThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  write_text(path, file_of(kHeader, std::string(8, 'x')));
  const SafetensorsFile file(path);
  fs::resize_file(path, 8 + kHeader.size() + 4);
  std::vector<float> values(2);
  EXPECT_THAT(error_text(Exit::input, [&] { file.read("a", values); }), HasSubstr("became shorter"));
}

TEST(Safetensors, WritesWhatItReads) {
  const TemporaryFolder folder;
  std::vector<float> values(15);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random_normal(2, i));
  values[3] = std::numeric_limits<float>::quiet_NaN();
  const std::span<const float> all = values;
  const std::vector<SafetensorsTensor> tensors = {{"z.weight", {2, 5}, all.first(10)},
                                                  {"empty", {0, 3}, {}},
                                                  {"a \"quoted\" \u00e9", {}, all.subspan(10, 1)},
                                                  {"b", {4}, all.last(4)}};
  write_safetensors(folder / "x.safetensors", tensors);
  const SafetensorsFile file(folder / "x.safetensors");
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  std::vector<std::vector<float>> back;
  for (const SafetensorsTensor& tensor : tensors) {
    EXPECT_EQ(file.tensors().at(tensor.name).shape, tensor.shape);
    back.emplace_back(tensor.values.size());
    file.read(tensor.name, back.back());
    EXPECT_TRUE(std::equal(
        back.back().begin(), back.back().end(), tensor.values.begin(),
        [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); }));
  }
  std::vector<SafetensorsTensor> again = tensors;
  for (size_t i = 0; i < again.size(); ++i) again[i].values = back[i];
  write_safetensors(folder / "y.safetensors", again);
  const std::string bytes = read_text(folder / "x.safetensors");
  EXPECT_EQ(read_text(folder / "y.safetensors"), bytes);
  EXPECT_EQ(bytes.find('{'), 8u);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
}

TEST(Safetensors, RefusesToWriteWhatItWouldNotRead) {
  const TemporaryFolder folder;
  const std::vector<float> values(4);
  for (const auto& tensors : std::vector<std::vector<SafetensorsTensor>>{
           {{"a", {3}, values}}, {{"a", {4}, values}, {"a", {4}, values}}, {{"__metadata__", {4}, values}}}) {
    EXPECT_NE(error_text(Exit::usage, [&] { write_safetensors(folder / "x", tensors); }), "no error");
  }
  EXPECT_EQ(count_files(folder.path()), 0);
}

class Shards : public testing::Test {
 protected:
  Shards() {
    write_safetensors(folder / "one.safetensors", {{"a", {2}, std::span(values).first(2)}});
    write_safetensors(folder / "two.safetensors", {{"b", {1}, std::span(values).last(1)}});
  }
  std::string refusal(const std::string& index) {
    write_text(folder / "model.safetensors.index.json", index);
    return error_text(Exit::input, [&] { SafetensorsModel model(folder.path()); });
  }
  TemporaryFolder folder;
  std::vector<float> values = {1, 2, 3};
};

TEST_F(Shards, AreFoundThroughTheIndex) {
  EXPECT_EQ(refusal("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two."
                    "safetensors\"}}"),
            "no error");
  const SafetensorsModel model(folder.path());
  EXPECT_EQ(model.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read(model, "a"), (std::vector<float>{1, 2}));
  EXPECT_EQ(read(model, "b"), (std::vector<float>{3}));
  EXPECT_FALSE(model.has("c"));
  EXPECT_THAT(error_text(Exit::input, [&] { model.entry("c"); }), HasSubstr("has no tensor 'c'"));
}

TEST_F(Shards, MustBeThereAndHoldWhatTheIndexSays) {
  EXPECT_THAT(refusal("{\"weight_map\":{\"a\":\"three.safetensors\"}}"), HasSubstr("three.safetensors"));
  EXPECT_THAT(refusal("{\"weight_map\":{\"b\":\"one.safetensors\"}}"), HasSubstr("has no tensor 'b'"));
  EXPECT_THAT(refusal("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}"),
              HasSubstr("has no tensor 'b'"));
  write_safetensors(folder / "one.safetensors", {{"a", {2}, std::span(values).first(2)}, {"c", {3}, values}});
  EXPECT_THAT(refusal("{\"weight_map\":{\"a\":\"one.safetensors\"}}"), HasSubstr("holds tensor 'c'"));
}

TEST_F(Shards, StayInTheirFolder) {
  for (const char* shard : {"../x", "/etc/passwd", "..", "", "a/b", "a\\u0000"}) {
    EXPECT_THAT(refusal(join("{\"weight_map\":{\"a\":\"", shard, "\"}}")),
                HasSubstr("not the name of a file"));
  }
}

TEST_F(Shards, NeedASoundIndex) {
  for (const char* index : {"[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{\"a\":1}}", "{",
                            "{\"weight_map\":{\"a\":\"x\",\"a\":\"x\"}}"}) {
    EXPECT_THAT(refusal(index), HasSubstr("index.json")) << index;
  }
}

TEST(SafetensorsModel, NamesTheFolderWithoutAModel) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_text(Exit::input, [&] { SafetensorsModel model(folder.path()); }),
              HasSubstr("holds neither model.safetensors nor"));
  EXPECT_THAT(error_text(Exit::input, [&] { SafetensorsModel model(folder / "none"); }), HasSubstr("none"));
}

std::vector<std::string> model_folders() { return fixture_files("gpt2", "", ""); }

class SafetensorsFixture : public testing::TestWithParam<std::string> {};

TEST_P(SafetensorsFixture, OpensAndComesBackTheSame) {
  const SafetensorsModel model(GetParam());
  EXPECT_FALSE(model.names().empty());
  std::map<std::string, std::vector<float>> values;
  std::vector<SafetensorsTensor> tensors;
  for (const std::string& name : model.names()) {
    values[name] = read(model, name);
    for (const float value : values[name]) ASSERT_TRUE(std::isfinite(value)) << name;
    tensors.push_back({name, model.entry(name).shape, values[name]});
  }
  const TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", tensors);
  const SafetensorsModel again(folder.path());
  EXPECT_EQ(again.names(), model.names());
  for (const std::string& name : again.names()) {
    EXPECT_EQ(again.entry(name).shape, model.entry(name).shape);
    EXPECT_EQ(read(again, name), values[name]) << name;
  }
}

/// The first hidden state is the sum of two rows that the file holds.
TEST_P(SafetensorsFixture, EmbeddingsMakeTheFirstHiddenState) {
  const SafetensorsModel model(GetParam());
  const FixtureGroup expected = FixtureGroup::open(GetParam() + "/expected.h5");
  const std::string prefix = model.has("wte.weight") ? "" : "transformer.";
  const std::vector<float> wte = read(model, prefix + "wte.weight"), wpe = read(model, prefix + "wpe.weight");
  const FixtureArray ids = expected.array("ids"), hidden = expected.array("hidden/0");
  const int64_t length = ids.shape[1], width = hidden.shape[2];
  for (size_t t = 0; t < ids.data.size(); ++t) {
    for (int64_t c = 0; c < width; ++c) {
      const int64_t token = static_cast<int64_t>(ids.data[t]), position = static_cast<int64_t>(t) % length;
      const double sum = static_cast<double>(wte[token * width + c]) + wpe[position * width + c];
      ASSERT_NEAR(sum, hidden.data[t * width + c], 1e-12) << t << ", " << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixture, SafetensorsFixture, testing::ValuesIn(model_folders()),
                         [](const auto& info) { return fs::path(info.param).filename().string(); });

}  // namespace
}  // namespace tapestry::test
