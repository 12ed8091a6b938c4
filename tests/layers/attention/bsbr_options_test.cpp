#include "layers/attention/bsbr_options.h"

#include <gtest/gtest.h>

#include <limits>

namespace tapestry::test {
namespace {

BsbrOptions read(const std::string& text) {
  Config config;
  read_config_text("[bsbr]\n" + text, "test.ini", {&bsbr_options()}, config);
  return config.get(bsbr_options());
}

std::string fault(const std::string& text) {
  try {
    check_bsbr_options(read(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(BsbrOptions, TopkDependsOnWhatIsRead) {
  const int64_t all = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(read("read = tokens\nblock = chunk").retrieved(), 2);
  EXPECT_EQ(read("read = state").retrieved(), all);
  EXPECT_EQ(read("read = tokens\ntopk = all").retrieved(), all);
  EXPECT_EQ(read("read = state\ntopk = 5").retrieved(), 5);
  EXPECT_EQ(read("topk = 0").retrieved(), 0);
}

TEST(BsbrOptions, BlocksAreSmallAndTwoChunksAreRead) {
  EXPECT_EQ(read("chunk = 32").block_size(), 8);
  EXPECT_EQ(read("chunk = 32").retrieved(), 8);
  EXPECT_EQ(read("chunk = 20").block_size(), 20);
  EXPECT_EQ(read("chunk = 32\nblock = chunk").block_size(), 32);
  EXPECT_EQ(read("chunk = 4").block_size(), 4);
  EXPECT_EQ(read("chunk = 32\nblock = 4").block_size(), 4);
  EXPECT_EQ(read("chunk = 32\nblock = 4").retrieved(), 16);
  EXPECT_EQ(read("chunk = 32\nblock = 4\ntopk = 3").retrieved(), 3);
}

TEST(BsbrOptions, TheOverlapIsAChunkUnlessGiven) {
  EXPECT_EQ(read("chunk = 32").reach(), 32);
  EXPECT_EQ(read("read = state\nchunk = 32").reach(), 32);
  EXPECT_EQ(read("chunk = 32\noverlap = 5").reach(), 5);
}

TEST(BsbrOptions, ThePresetChangesDefaultsOnly) {
  EXPECT_EQ(read("read = state\npreset = literal").reach(), 0);
  EXPECT_EQ(read("read = state\npreset = literal\noverlap = 7").reach(), 7);
  EXPECT_TRUE(read("read = state").state_means());
  EXPECT_TRUE(read("read = state").gated());
  EXPECT_FALSE(read("read = state\npreset = literal").state_means());
  EXPECT_FALSE(read("read = state\npreset = literal").gated());
  EXPECT_TRUE(read("read = state\npreset = literal\nstate_scale = mean").state_means());
  EXPECT_TRUE(read("read = state\npreset = literal\ngate = head").gated());
}

TEST(BsbrOptions, TheDefaultsGoTogether) {
  EXPECT_EQ(fault(""), "");
  EXPECT_EQ(fault("read = state"), "");
  EXPECT_EQ(fault("read = state\nfeature_map = elu1\nnormalise = true\ncompression = 4"), "");
}

TEST(BsbrOptions, AQuarterOfTheHeadsRetrieves) {
  const BsbrOptions automatic = read("");
  EXPECT_EQ(automatic.retrieving(1), 1);
  EXPECT_EQ(automatic.retrieving(4), 1);
  EXPECT_EQ(automatic.retrieving(6), 2);
  EXPECT_EQ(automatic.retrieving(12), 3);
  EXPECT_EQ(read("retrieval_heads = all").retrieving(12), 12);
  EXPECT_EQ(read("retrieval_heads = 5").retrieving(12), 5);
  EXPECT_EQ(read("retrieval_heads = 5").retrieving(4), 4);
}

TEST(BsbrOptions, WhatDoesNotGoTogetherIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"topk = -1", "bsbr.topk = -1"},
      {"topk = two", "bsbr.topk = two"},
      {"overlap = -1", "bsbr.overlap = -1"},
      {"overlap = a chunk", "bsbr.overlap = a chunk"},
      {"block = 0", "bsbr.block = 0 "},
      {"block = half", "bsbr.block = half"},
      {"chunk = 32\nblock = 5", "bsbr.block = 5 is neither auto, chunk nor a divisor of bsbr.chunk = 32"},
      {"read = state\nblock = 4", "bsbr.block needs"},
      {"retrieval_heads = 0", "bsbr.retrieval_heads = 0"},
      {"retrieval_heads = half", "bsbr.retrieval_heads = half"},
      {"read = tokens\npreset = literal", "bsbr.preset"},
      {"read = tokens\nfeature_map = elu1", "bsbr.feature_map"},
      {"read = tokens\nread_norm = rms", "bsbr.read_norm"},
      {"read = tokens\ncompression = 4", "bsbr.compression"},
      {"score_bias = off\nsoftmax = hierarchical", "bsbr.softmax = hierarchical needs"},
      {"read = state\nkeys = shared", "bsbr.keys"},
      {"read = state\nnormalise = true", "bsbr.feature_map = elu1"},
      {"read = state\nfeature_map = elu1\nnormalise = true\nread_norm = rms", "exclude"},
  };
  for (const auto& [text, part] : cases) EXPECT_NE(fault(text).find(part), std::string::npos) << text;
  EXPECT_NE(fault("topk = x\nread_norm = rms").find("; bsbr.read_norm"), std::string::npos);
}

}  // namespace
}  // namespace tapestry::test
