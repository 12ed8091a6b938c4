#include "layers/attention/hopfield.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Options = std::vector<std::pair<std::string, std::string>>;

std::vector<double> run(const std::string& kind, Options options, double scale = 1) {
  Module root(ModuleContext{.dtype = DType::float64});
  const auto layer = make_attention({.kind = kind, .name = "", .options = std::move(options)}, root);
  return (*layer)(random_tensor({2, 40, 12}, 3, DType::float64, scale)).values<double>();
}

// ATTENTION section 8. Layers of one shape get the same parameters, so that only the options differ.
TEST(Hopfield, OneStepWithoutNormsAndFixedBetaIsStandard) {
  const Options plain = {{"norm_input", "false"}, {"beta_learn", "false"}};
  EXPECT_LE(difference(run("hopfield", plain), run("standard", {})), 1e-12);
  Options with_beta = plain;
  with_beta.emplace_back("beta", "1.3");
  EXPECT_LE(difference(run("hopfield", with_beta), run("standard", {{"scale", "1.3"}})), 1e-12);
  EXPECT_GT(
      difference(run("hopfield", {{"norm_input", "true"}, {"beta_learn", "false"}}), run("standard", {})),
      1e-3);
}

TEST(Hopfield, StepsConverge) {
  const auto after = [](const std::string& steps) {
    return run("hopfield",
               {{"norm_input", "false"}, {"beta_learn", "false"}, {"beta", "0.3"}, {"steps", steps}}, 0.5);
  };
  const std::vector<double> fixed_point = after("400");
  EXPECT_LE(difference(after("401"), fixed_point), 1e-8);
  EXPECT_GT(difference(after("2"), fixed_point), 1e-6);
}

TEST(Hopfield, LearnedBetaStartsAtTheFixedOne) {
  for (const char* beta : {"0", "0.7"}) {
    Module root(ModuleContext{.dtype = DType::float64});
    Config config;
    config.set("hopfield.beta", beta, "test");
    const auto layer = attention_kind("hopfield").make(root, {.n_embd = 12, .n_head = 3}, config, 0);
    const NamedParameter last = layer->parameters().back();
    ASSERT_EQ(last.name, "attention.beta");
    const double expected = beta == std::string("0") ? 0.5 : 0.7;
    EXPECT_EQ(last.parameter.value().values<double>(), std::vector<double>(3, expected));
  }
}

TEST(Hopfield, HasTheParametersOfItsOptions) {
  const auto names = [](const Options& options) {
    Module root;
    Config config;
    for (const auto& [key, value] : options) config.set("hopfield." + key, value, "test");
    const auto layer = attention_kind("hopfield").make(root, {.n_embd = 12, .n_head = 3}, config, 0);
    std::string text;
    for (const NamedParameter& named : layer->parameters())
      text += join(named.name.substr(10), ' ', named.parameter.shape(), '\n');
    return text;
  };
  const std::string projections =
      "q.weight [12, 12]\nk.weight [12, 12]\nv.weight [12, 12]\nout.weight [12, 12]\n";
  EXPECT_EQ(names({{"norm_input", "false"}, {"beta_learn", "false"}}), projections);
  EXPECT_EQ(names({{"norm_hopfield", "true"}}),
            projections +
                "norm_state.weight [12]\nnorm_state.bias [12]\nnorm_stored.weight [12]\n"
                "norm_stored.bias [12]\nnorm_projected.weight [12]\nnorm_projected.bias [12]\n"
                "norm_hopfield.weight [4]\nnorm_hopfield.bias [4]\nbeta [3]\n");
}

}  // namespace
}  // namespace tapestry::test
