#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "autograd/tape.h"
#include "layers/attention/bsbr_tokens.h"
#include "layers/attention/standard.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

constexpr int64_t kWidth = 16, kHeads = 2, kChunk = 8, kTokens = 53;
const AttentionDims kDims{
    .n_embd = kWidth, .n_head = kHeads, .bias = true, .init_std = 0.35, .out_init_std = 0.25};

/// A layer on its own. Layers of the same seed agree in the parameters that they share.
template <class Layer>
struct Alone {
  Module root{ModuleContext{.dtype = DType::float64, .seed = 3}};
  Layer layer;
  template <class Options>
  explicit Alone(const Options& options, const AttentionDims& dims = kDims) : layer(root, dims, options) {}

  Parameter parameter(const std::string& name) const {
    for (const NamedParameter& named : layer.parameters()) {
      if (named.name == layer.path() + "." + name) return named.parameter;
    }
    return {};
  }
  std::vector<double> operator()(const Tensor& x) const { return layer(x).template values<double>(); }
};

BsbrOptions tokens_options() {
  BsbrOptions options;
  options.read = "tokens";
  options.chunk = kChunk;
  return options;
}

Tensor input() { return random_tensor({2, kTokens, kWidth}, 5); }
std::vector<double> with(const BsbrOptions& options) { return Alone<BsbrTokens>(options)(input()); }
std::vector<double> standard() { return Alone<StandardAttention>(StandardOptions{})(input()); }

TEST(BsbrTokens, ReadingAllChunksByTheKeysOfTokensIsSoftmaxAttention) {
  BsbrOptions options = tokens_options();
  options.score_bias = "off";
  options.retrieval_heads = "all";
  options.overlap = "0";
  for (const char* topk : {"all", "6", "1000"}) {
    options.topk = topk;
    EXPECT_LE(difference(with(options), standard()), 1e-13) << topk;
  }
  options.topk = "5";
  EXPECT_GT(difference(with(options), standard()), 1e-3);
}

TEST(BsbrTokens, TheFirstChunkIsSoftmaxAttention) {
  std::vector<double> y = with(tokens_options()), softmax = standard();
  EXPECT_GT(difference(y, softmax), 1e-2);
  y.resize(kChunk * kWidth);
  softmax.resize(kChunk * kWidth);
  EXPECT_LE(difference(y, softmax), 1e-13);
}

TEST(BsbrTokens, NothingRetrievedIsLocalAttention) {
  BsbrOptions options = tokens_options();
  options.topk = "0";
  options.overlap = "3";
  BsbrOptions local = options;
  local.read = "state";
  EXPECT_EQ(with(options), with(local));
}

TEST(BsbrTokens, TheChoiceOfTopkLeavesTheParametersAsTheyAre) {
  BsbrOptions options = tokens_options();
  options.keys = "own";
  options.score_bias = "head";
  std::set<std::vector<std::string>> all;
  for (const char* topk : {"0", "2", "all"}) {
    options.topk = topk;
    std::vector<std::string> names;
    for (const NamedParameter& named : Alone<BsbrTokens>(options).layer.parameters())
      names.push_back(named.name);
    all.insert(names);
  }
  ASSERT_EQ(all.size(), 1u);
  const std::vector<std::string>& names = *all.begin();
  for (const char* name : {"r.weight", "h.weight", "score_gain"})
    EXPECT_EQ(std::count(names.begin(), names.end(), std::string("attention.") + name), 1) << name;
  for (const char* name : {"r.bias", "h.bias"})
    EXPECT_EQ(std::count(names.begin(), names.end(), std::string("attention.") + name), 0) << name;
}

TEST(BsbrTokens, SharedKeysAreTheDefaultAndHaveNoParametersOfTheirOwn) {
  BsbrOptions options = tokens_options();
  EXPECT_EQ(Alone<BsbrTokens>(options).layer.parameter_count(), 4 * (kWidth + 1) * kWidth);
  const std::vector<double> y = with(options);
  options.keys = "shared";
  EXPECT_EQ(with(options), y);
}

TEST(BsbrTokens, TheLearnedGainStartsAtOneAndMayReachZero) {
  BsbrOptions options = tokens_options();
  options.softmax = "flat";
  const std::vector<double> on = with(options);
  options.score_bias = "off";
  const std::vector<double> off = with(options);
  EXPECT_GT(difference(on, off), 1e-3);
  options.score_bias = "head";
  Alone<BsbrTokens> layer(options);
  EXPECT_EQ(layer(input()), on);
  layer.parameter("score_gain").mutable_value().fill(0);
  EXPECT_LE(difference(layer(input()), off), 1e-14);
}

TEST(BsbrTokens, ShareOfKeysRead) {
  BsbrOptions options = tokens_options();
  options.chunk = 2;
  options.topk = "1";
  // Keys read by tokens 0 to 6, the chunk before being local: 1, 2, 3, 4, 5, 6, 5 of 1 + ... + 7.
  EXPECT_NEAR(options.keys_read_share(7, 1), 26.0 / 28, 1e-12);
  options.overlap = "0";
  // Keys read by tokens 0 to 6: 1, 2, then a chunk and what is local, 3, 4, 3, 4, 3.
  EXPECT_NEAR(options.keys_read_share(7, 1), 20.0 / 28, 1e-12);
  // One head of two: the other one reads 1, 2, 1, 2, 1, 2, 1.
  EXPECT_NEAR(options.keys_read_share(7, 2), (20 + 10) / 2.0 / 28, 1e-12);
  options.sink = 2;  // chunk 0 is local now: 1, 2, 3, 4, 5, 6, 5
  EXPECT_NEAR(options.keys_read_share(7, 1), 26.0 / 28, 1e-12);
  options.topk = "all";
  EXPECT_EQ(options.keys_read_share(7, 1), 1);
}

/// How much tokens from the last chunk on see of it when chunks 0 and 3 change places.
double change_of_places_seen(const BsbrOptions& options) {
  AttentionDims dims = kDims;
  dims.rotary = true;
  const Alone<BsbrTokens> layer(options, dims);
  const Tensor x = random_tensor({1, kTokens, kWidth}, 5);
  std::vector<double> swapped = x.values<double>();
  std::swap_ranges(swapped.begin(), swapped.begin() + kChunk * kWidth, swapped.begin() + 3 * kChunk * kWidth);
  std::vector<double> a = layer(x), b = layer(Tensor::from(swapped, x.shape()));
  const int64_t last = kTokens / kChunk * kChunk * kWidth;
  return difference({a.begin() + last, a.end()}, {b.begin() + last, b.end()});
}

TEST(BsbrTokens, WhatIsRetrievedIsAtTheEdgeWhereverItIs) {
  BsbrOptions options = tokens_options();
  options.topk = "all";
  EXPECT_LE(change_of_places_seen(options), 1e-13);
  options.retrieved_positions = "own";
  EXPECT_GT(change_of_places_seen(options), 1e-3);
}

TEST(BsbrTokens, TheScoreBiasTrainsRetrieval) {
  BsbrOptions options = tokens_options();
  options.keys = "own";
  options.score_bias = "head";
  const Alone<BsbrTokens> layer(options);
  Tape tape;
  const Tensor y = layer.layer(input());
  tape.backward(y, random_tensor(y.shape(), 8));
  for (const char* name : {"r.weight", "h.weight", "score_gain"}) {
    const std::vector<double> gradient = layer.parameter(name).gradient().values<double>();
    EXPECT_GT(difference(gradient, std::vector<double>(gradient.size())), 1e-2) << name;
  }
}

}  // namespace
}  // namespace tapestry::test
