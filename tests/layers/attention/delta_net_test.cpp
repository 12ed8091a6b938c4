#include "layers/attention/delta_net.h"

#include <gtest/gtest.h>

#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<std::string> names(const Attention& layer) {
  std::vector<std::string> all;
  for (const NamedParameter& named : layer.parameters())
    all.push_back(named.name.substr(layer.path().size() + 1));
  return all;
}

TEST(DeltaNet, HasNoBiases) {
  Module root;
  const auto layer = attention_kind("delta_net").make(root, {.n_embd = 8, .n_head = 2, .bias = true}, {}, 0);
  const std::vector<std::string> expected = {"q.weight", "k.weight", "v.weight", "out.weight", "beta.weight",
                                             "conv_q",   "conv_k",   "conv_v",   "norm.weight"};
  EXPECT_EQ(names(*layer), expected);
}

TEST(DeltaNet, OptionsTakePartsAway) {
  Module root;
  Config config;
  config.set("delta_net.conv", "0", "test");
  config.set("delta_net.out_norm", "none", "test");
  const auto layer = attention_kind("delta_net").make(root, {.n_embd = 8, .n_head = 2}, config, 0);
  const std::vector<std::string> expected = {"q.weight", "k.weight", "v.weight", "out.weight", "beta.weight"};
  EXPECT_EQ(names(*layer), expected);
}

TEST(DeltaNet, DoesNotDependOnTheChunk) {
  const auto run = [](const std::string& chunk) {
    Module root(ModuleContext{.dtype = DType::float64});
    const auto layer = make_attention({"delta_net", "", {{"chunk", chunk}}}, root);
    return (*layer)(random_tensor({2, 70, 12}, 3)).values<double>();
  };
  EXPECT_LE(difference(run("64"), run("1")), 1e-12);
}

TEST(DeltaNet, IgnoresRotaryPositions) {
  const auto run = [](bool rotary) {
    Module root;
    const AttentionDims dims{.n_embd = 12, .n_head = 4, .rotary = rotary};
    const auto layer = make_attention({"delta_net", "", {}, dims}, root);
    return (*layer)(random_tensor({1, 9, 12}, 3, DType::float32)).values<float>();
  };
  EXPECT_EQ(run(true), run(false));
}

}  // namespace
}  // namespace tapestry::test
