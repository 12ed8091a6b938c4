#include "eval/attention_map.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

constexpr int64_t kTokens = 29;  // five chunks of 5 and a ragged sixth

using Settings = std::vector<std::pair<std::string, std::string>>;

struct Mapped {
  std::string name, attention;
  Settings settings = {};
  std::string positions = "learned";
};

/// One layer with random parameters in float64, and a random residual stream before it.
struct Layer {
  Config config;
  std::unique_ptr<LanguageModel> model;
  Tensor x = random_tensor({1, kTokens, 12}, 5);

  explicit Layer(const Mapped& mapped) {
    for (const auto& [key, value] : mapped.settings) config.set(mapped.attention + "." + key, value, "test");
    const ModelOptions options{.attention = {mapped.attention},
                               .n_layer = 1,
                               .n_head = 3,
                               .n_embd = 12,
                               .n_ctx = kTokens,
                               .vocab_size = 7,
                               .positions = mapped.positions};
    model = std::make_unique<LanguageModel>(options, config, ModuleContext{.dtype = DType::float64});
    uint64_t key = 10;
    for (NamedParameter& named : model->parameters())
      add_in_place(named.parameter.mutable_value(),
                   random_tensor(named.parameter.shape(), ++key, DType::float64, 0.4));
  }
  Tensor parameter(const std::string& name) const {
    for (const auto& named : model->parameters())
      if (named.name == "blocks.0." + name) return named.parameter.value();
    return {};
  }
  AttentionMap map(int64_t head) const { return attention_map(*model, config, x, 0, head); }
};

class AttentionMapOf : public testing::TestWithParam<Mapped> {};

/// The weights times the values, through the output projection, are what the fast layer gives.
TEST_P(AttentionMapOf, TimesTheValuesIsTheLayersOutput) {
  const Layer layer(GetParam());
  const Tensor normed = layer_norm(layer.x, layer.parameter("norm_1.weight"), layer.parameter("norm_1.bias"));
  const std::vector<double> v =
      linear(normed, layer.parameter("attention.v.weight"), layer.parameter("attention.v.bias"))
          .values<double>();
  const std::vector<AttentionMap> maps = {layer.map(0), layer.map(1), layer.map(2)};
  std::vector<double> mixed(kTokens * 12, 0.0);
  for (int64_t t = 0; t < kTokens; ++t)
    for (int64_t i = 0; i < kTokens; ++i)
      for (int64_t channel = 0; channel < 12; ++channel)
        mixed[t * 12 + channel] += maps[channel / 4].at(t, i) * v[i * 12 + channel];
  const Tensor output = linear(Tensor::from(mixed, {1, kTokens, 12}), layer.parameter("attention.out.weight"),
                               layer.parameter("attention.out.bias"));
  EXPECT_LE(difference(output.values<double>(), layer.model->block(0).attention()(normed).values<double>()),
            1e-12);
  for (const AttentionMap& map : maps)
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t i = t + 1; i < kTokens; ++i) ASSERT_EQ(map.at(t, i), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Eval, AttentionMapOf,
    testing::Values(
        Mapped{"standard", "standard"}, Mapped{"rotary", "standard", {{"scale", "0.7"}}, "rotary"},
        Mapped{"window", "sliding_window", {{"window", "6"}, {"sink", "2"}}}, Mapped{"linear", "linear"},
        Mapped{"linear_plain", "linear", {{"feature_map", "identity"}, {"normalise", "no"}}},
        Mapped{"local", "bsbr", {{"chunk", "5"}, {"topk", "0"}, {"overlap", "3"}, {"sink", "1"}}},
        Mapped{"tokens", "bsbr", {{"chunk", "5"}, {"topk", "2"}}},
        Mapped{
            "tokens_all", "bsbr", {{"chunk", "5"}, {"topk", "1"}, {"overlap", "7"}, {"sink", "2"}}, "rotary"},
        Mapped{"tokens_shared", "bsbr", {{"chunk", "5"}, {"keys", "shared"}, {"score_bias", "off"}}},
        Mapped{"tokens_gain", "bsbr", {{"chunk", "5"}, {"topk", "1"}, {"score_bias", "head"}}},
        Mapped{"tokens_blocks", "bsbr", {{"chunk", "6"}, {"block", "2"}, {"overlap", "3"}, {"topk", "2"}}},
        Mapped{"tokens_flat", "bsbr", {{"chunk", "5"}, {"topk", "2"}, {"softmax", "flat"}}},
        Mapped{"tokens_where_they_are",
               "bsbr",
               {{"chunk", "5"}, {"topk", "2"}, {"retrieved_positions", "own"}},
               "rotary"},
        Mapped{"short", "bsbr", {{"chunk", "64"}}},
        Mapped{"state", "bsbr", {{"chunk", "5"}, {"read", "state"}}},
        Mapped{"state_rotary",
               "bsbr",
               {{"chunk", "5"}, {"read", "state"}, {"overlap", "3"}, {"sink", "1"}, {"topk", "2"}},
               "rotary"},
        Mapped{"state_literal", "bsbr", {{"chunk", "5"}, {"read", "state"}, {"preset", "literal"}}},
        Mapped{"state_softmax", "bsbr", {{"chunk", "5"}, {"read", "state"}, {"feature_map", "softmax"}}},
        Mapped{"state_normalised",
               "bsbr",
               {{"chunk", "5"}, {"read", "state"}, {"feature_map", "elu1"}, {"normalise", "yes"}}}),
    [](const auto& info) { return info.param.name; });

TEST(AttentionMap, DensityCountsTheCausalPairs) {
  const AttentionMap map{2, {1, 0, 0.25, -0.75}};
  EXPECT_NEAR(map.density(0.5), 2.0 / 3, 1e-15);
  EXPECT_NEAR(map.density(0.1), 1, 1e-15);
  EXPECT_EQ(map.density(1), 0);
}

TEST(AttentionMap, WhatIsNoWeightedSumIsRefused) {
  expect_error(Exit::usage, "delta_net", [] { Layer({"", "delta_net"}).map(0); });
  expect_error(Exit::usage, "compression", [] {
    Layer({"", "bsbr", {{"read", "state"}, {"chunk", "5"}, {"compression", "4"}}}).map(0);
  });
}

}  // namespace
}  // namespace tapestry::test
