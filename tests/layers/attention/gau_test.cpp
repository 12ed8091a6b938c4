#include "layers/attention/gau.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/layers/attention/variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Options = std::vector<std::pair<std::string, std::string>>;
constexpr int64_t kTokens = 29, kWidth = 12;

/// A layer with random parameters, which depend on their places in the layer only.
struct Layer {
  Module root{ModuleContext{.dtype = DType::float64}};
  std::unique_ptr<Attention> gau;

  explicit Layer(Options options, AttentionDims dims = {.n_embd = kWidth, .n_head = 3})
      : gau(make_attention({.kind = "gau", .name = "", .options = std::move(options), .dims = dims}, root)) {}

  Parameter parameter(const std::string& name) const {
    for (const NamedParameter& named : gau->parameters()) {
      if (named.name == "attention." + name) return named.parameter;
    }
    throw std::runtime_error("no parameter " + name);
  }
  /// Outputs of tokens [begin, end) of one sequence.
  std::vector<double> run(int64_t begin = 0, int64_t end = kTokens) const {
    const std::vector<double> y = (*gau)(random_tensor({1, kTokens, kWidth}, 3)).values<double>();
    return {y.begin() + begin * kWidth, y.begin() + end * kWidth};
  }
};

// ATTENTION section 8.
TEST(Gau, FirstChunkIgnoresTheLinearQueriesAndKeys) {
  Layer layer(Options{{"chunk", "8"}});
  const std::vector<double> first = layer.run(0, 8), later = layer.run(8);
  for (const char* name : {"gamma_ql", "offset_ql", "gamma_kl", "offset_kl"}) {
    layer.parameter(name).mutable_value().fill(0.3);
    EXPECT_EQ(layer.run(0, 8), first) << name;
    EXPECT_GT(difference(layer.run(8), later), 1e-6) << name;
  }
}

TEST(Gau, WithoutLinearQueriesChunksAreIndependent) {
  Layer layer(Options{{"chunk", "8"}, {"quad_scale", "0.1"}});
  Layer whole(Options{{"chunk", "100"}, {"quad_scale", "0.1"}});
  for (const char* name : {"gamma_ql", "offset_ql"}) layer.parameter(name).mutable_value().fill(0);
  for (const Layer* gau : {&layer, &whole}) gau->parameter("rel_bias").mutable_value().fill(0.05);
  EXPECT_LE(difference(layer.run(0, 8), whole.run(0, 8)), 1e-12);
  EXPECT_GT(difference(layer.run(8), whole.run(8)), 1e-6);
  const std::vector<double> before = layer.run(8);
  Tensor x = random_tensor({1, kTokens, kWidth}, 3);
  for (int64_t i = 0; i < 8 * kWidth; ++i) x.mutable_data<double>()[i] += 1;
  const std::vector<double> y = (*layer.gau)(x).values<double>();
  EXPECT_EQ(std::vector<double>(y.begin() + 8 * kWidth, y.end()), before);
}

TEST(Gau, ScalesDependOnTheOptionsOnly) {
  const std::string quad = format_value(1 / std::sqrt(32.0));
  const Layer usual(Options{{"chunk", "8"}, {"s", "32"}});
  const Layer given(Options{{"chunk", "8"}, {"s", "32"}, {"quad_scale", quad}, {"lin_scale", "0.125"}});
  EXPECT_EQ(usual.run(), given.run());
}

TEST(Gau, HasOneHead) {
  const Options options = {{"chunk", "8"}};
  EXPECT_EQ(Layer(options, {.n_embd = kWidth, .n_head = 1}).run(),
            Layer(options, {.n_embd = kWidth, .n_head = 5}).run());
}

TEST(Gau, RotaryPositionsNeedAnEvenWidth) {
  expect_error(Exit::usage, "gau.s = 5 is odd", [] {
    Layer({{"s", "5"}}, {.n_embd = kWidth, .rotary = true});
  });
}

TEST(Gau, HasTheParametersOfItsOptions) {
  const auto shapes = [](const Options& options, bool bias) {
    std::string text;
    const Layer layer(options, {.n_embd = kWidth, .bias = bias});
    for (const NamedParameter& named : layer.gau->parameters())
      text += join(named.name.substr(10), ' ', named.parameter.shape(), '\n');
    return text;
  };
  EXPECT_EQ(shapes({{"chunk", "8"}, {"s", "5"}}, false),
            "u.weight [12, 24]\nv.weight [12, 24]\nz.weight [12, 5]\nout.weight [24, 12]\n"
            "gamma_qq [5]\noffset_qq [5]\ngamma_kq [5]\noffset_kq [5]\n"
            "gamma_ql [5]\noffset_ql [5]\ngamma_kl [5]\noffset_kl [5]\nrel_bias [8]\n");
  const std::string with_bias = shapes({{"e", "7"}, {"rel_bias", "false"}}, true);
  EXPECT_NE(with_bias.find("u.bias [7]\n"), std::string::npos);
  EXPECT_NE(with_bias.find("z.bias [128]\n"), std::string::npos);
  EXPECT_NE(with_bias.find("out.bias [12]\n"), std::string::npos);
  EXPECT_EQ(with_bias.find("rel_bias"), std::string::npos);
}

}  // namespace
}  // namespace tapestry::test
