#include "layers/attention/standard.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/linear.h"
#include "autograd/ops/rotary.h"
#include "layers/attention/sliding_window.h"
#include "tests/layers/attention/variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

constexpr int64_t kTokens = 150;

/// Layers of one shape get the same parameters, so that only the options differ.
std::vector<double> run(const std::string& kind, std::vector<std::pair<std::string, std::string>> options) {
  Module root(ModuleContext{.dtype = DType::float64});
  const auto layer = make_attention({.kind = kind, .name = "", .options = std::move(options)}, root);
  return (*layer)(random_tensor({2, kTokens, 12}, 3)).values<double>();
}

std::unique_ptr<Attention> make(Module& root, const AttentionDims& dims) {
  return attention_kind("standard").make(root, dims, {}, 0);
}

// ATTENTION section 8.
TEST(SlidingWindow, WiderThanTheSequenceIsStandard) {
  EXPECT_LE(difference(run("sliding_window", {{"window", "150"}}), run("standard", {})), 1e-12);
  EXPECT_LE(difference(run("sliding_window", {{"window", "9223372036854775807"}}), run("standard", {})),
            1e-12);
  EXPECT_GT(difference(run("sliding_window", {{"window", "149"}}), run("standard", {})), 1e-6);
}

TEST(SlidingWindow, SinksOverTheSequenceAreStandard) {
  EXPECT_LE(difference(run("sliding_window", {{"window", "1"}, {"sink", "149"}}), run("standard", {})),
            1e-12);
  EXPECT_LE(difference(run("sliding_window", {{"window", "7"}, {"sink", "9223372036854775807"}}),
                       run("standard", {})),
            1e-12);
}

TEST(SlidingWindow, SinksInsideTheWindowCountOnce) {
  EXPECT_LE(difference(run("sliding_window", {{"window", "150"}, {"sink", "5"}}), run("standard", {})),
            1e-12);
}

TEST(SlidingWindow, OfOneTokenIsItsValue) {
  Module root(ModuleContext{.dtype = DType::float64});
  const auto layer =
      make_attention({.kind = "sliding_window", .name = "", .options = {{"window", "1"}}}, root);
  const int64_t width = 12;
  const Tensor x = random_tensor({1, 9, width}, 3);
  const std::vector<double> in = x.values<double>();
  const auto times = [&](const std::vector<double>& a, const Parameter& w) {
    const std::vector<double> weight = w.value().values<double>();
    std::vector<double> y(a.size(), 0.0);
    for (size_t i = 0; i < a.size(); ++i) {
      for (int64_t j = 0; j < width; ++j) y[i / width * width + j] += a[i] * weight[i % width * width + j];
    }
    return y;
  };
  const std::vector<NamedParameter> parameters = layer->parameters();
  ASSERT_EQ(parameters[2].name, "attention.v.weight");
  ASSERT_EQ(parameters[3].name, "attention.out.weight");
  EXPECT_LE(difference((*layer)(x).values<double>(),
                       times(times(in, parameters[2].parameter), parameters[3].parameter)),
            1e-12);
}

TEST(StandardAttention, RotaryTurnsQueriesAndKeysOnly) {
  Module root(ModuleContext{.dtype = DType::float64});
  const auto layer =
      make(root, {.n_embd = 8, .n_head = 2, .rotary = true, .init_std = 0.5, .out_init_std = 0.5});
  const std::vector<NamedParameter> weights = layer->parameters();
  const Tensor x = random_tensor({2, 20, 8}, 3);
  const auto projected = [&](size_t i, const Tensor& in) { return linear(in, weights.at(i).parameter); };
  const Tensor o =
      softmax_attention(rotary(projected(0, x), 2), rotary(projected(1, x), 2), projected(2, x), 2, 0.5);
  EXPECT_LE(difference((*layer)(x).values<double>(), projected(3, o).values<double>()), 1e-12);
}

TEST(StandardAttention, HasTheParametersOfItsProjections) {
  Module root;
  const auto layer = make(root, {.n_embd = 8, .n_head = 2, .bias = true});
  std::vector<std::string> names;
  for (const NamedParameter& named : layer->parameters()) names.push_back(named.name);
  const std::vector<std::string> expected = {
      "attention.q.weight", "attention.q.bias", "attention.k.weight",   "attention.k.bias",
      "attention.v.weight", "attention.v.bias", "attention.out.weight", "attention.out.bias"};
  EXPECT_EQ(names, expected);
}

TEST(StandardAttention, StartsWithTheDeviationsOfItsModel) {
  Module root;
  const auto layer = make(root, {.n_embd = 128, .n_head = 2, .init_std = 0.3, .out_init_std = 0.01});
  for (const NamedParameter& named : layer->parameters()) {
    double squares = 0;
    for (const double value : named.parameter.value().values<double>()) squares += value * value;
    const double expected = named.name == "attention.out.weight" ? 0.01 : 0.3;
    EXPECT_NEAR(std::sqrt(squares / named.parameter.shape().size()) / expected, 1, 0.05) << named.name;
  }
}

TEST(StandardAttention, RefusesHeadsThatDoNotDivideTheWidth) {
  Module root;
  expect_error(Exit::usage, "n_head = 5 does not divide n_embd = 12",
               [&] { make(root, {.n_embd = 12, .n_head = 5}); });
}

TEST(AttentionKind, UnknownNamesAreAnsweredWithTheNearest) {
  expect_error(Exit::usage, "there is no attention 'standart'; did you mean standard?",
               [] { attention_kind("standart"); });
}

}  // namespace
}  // namespace tapestry::test
