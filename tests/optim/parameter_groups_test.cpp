#include "optim/parameter_groups.h"

#include <gtest/gtest.h>

#include "optim/optim_options.h"
#include "tests/support/expect_error.h"
#include "tests/support/given_gradient.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<NamedParameter> parameters() {
  std::vector<NamedParameter> all;
  uint64_t key = 1;
  for (const char* name : {"embedding.weight", "blocks.0.mlp.up.weight", "blocks.0.attention.r.weight",
                           "blocks.10.attention.r.bias", "final_norm.bias"})
    all.push_back({name, Parameter(random_tensor({3, 4}, key++, DType::float32))});
  return all;
}

std::vector<std::string> trainable(const std::vector<NamedParameter>& all,
                                   const std::vector<std::string>& freeze) {
  std::vector<std::string> names;
  for (const NamedParameter& named : trainable_parameters(all, freeze)) names.push_back(named.name);
  return names;
}

TEST(ParameterGroups, PatternsFreezeAndUnfreeze) {
  const auto all = parameters();
  EXPECT_EQ(trainable(all, {"*.weight", "final*"}), std::vector<std::string>{"blocks.10.attention.r.bias"});
  EXPECT_TRUE(all[0].parameter.frozen());
  EXPECT_FALSE(all[3].parameter.frozen());
  EXPECT_EQ(trainable(all, {"blocks.?.*", "embedding.weight"}),
            (std::vector<std::string>{"blocks.10.attention.r.bias", "final_norm.bias"}));
  EXPECT_EQ(trainable(all, {}).size(), all.size());
  EXPECT_FALSE(all[0].parameter.frozen());
}

TEST(ParameterGroups, TheLastRuleThatMatchesCounts) {
  EXPECT_EQ(rate_factors(parameters(), {"*:0.1", "*.attention.*:2", "*.bias:4"}),
            (std::vector<double>{0.1, 0.1, 2, 4, 4}));
  EXPECT_EQ(rate_factors(parameters(), {}), std::vector<double>(5, 1));
}

TEST(ParameterGroups, MistakesAreNamed) {
  const auto all = parameters();
  expect_error(Exit::usage, "'blocks' matches no parameter", [&] { trainable_parameters(all, {"blocks"}); });
  expect_error(Exit::usage, "final_norm.bias", [&] { trainable_parameters(all, {"nothing*"}); });
  expect_error(Exit::usage, "leaves no parameter", [&] { trainable_parameters(all, {"*"}); });
  expect_error(Exit::usage, "pattern:factor", [&] { rate_factors(all, {"*.bias"}); });
  expect_error(Exit::usage, "optim.freeze", [&] { rate_factors(all, {"*.bias:0"}); });
  expect_error(Exit::usage, "'*.gate' matches no", [&] { rate_factors(all, {"*.gate:3"}); });
}

/// Parameters after three steps, with rates or without.
std::vector<std::vector<float>> trained(const OptimOptions& options, double learning_rate) {
  const auto all = parameters();
  const auto optimizer = make_optimizer(options, all);
  for (uint64_t step = 0; step < 3; ++step) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i].parameter.frozen())
        give_gradient(all[i].parameter, random_tensor({3, 4}, 100 * step + i, DType::float32));
    }
    optimizer->step(learning_rate);
    optimizer->zero_grad();
  }
  std::vector<std::vector<float>> values;
  for (const NamedParameter& named : all) values.push_back(named.parameter.value().values<float>());
  return values;
}

TEST(ParameterGroups, AFactorIsAScaledLearningRateAndAFrozenParameterStays) {
  for (const char* kind : {"adamw", "sgd"}) {
    const OptimOptions plain{.optimizer = kind};
    OptimOptions grouped = plain;
    grouped.rates = {"*.r.*:4", "*.bias:0.5"};
    grouped.freeze = {"embedding.*"};
    const auto found = trained(grouped, 0.01), once = trained(plain, 0.01);
    EXPECT_EQ(found[0], parameters()[0].parameter.value().values<float>()) << kind;
    EXPECT_EQ(found[1], once[1]) << kind;
    EXPECT_EQ(found[2], trained(plain, 0.04)[2]) << kind;
    EXPECT_EQ(found[3], trained(plain, 0.005)[3]) << kind;
    EXPECT_EQ(found[4], trained(plain, 0.005)[4]) << kind;
  }
}

TEST(ParameterGroups, FrozenParametersTakeNoMoments) {
  const auto all = parameters();
  const auto optimizer = make_optimizer({.freeze = {"blocks.*"}}, all);
  EXPECT_EQ(optimizer->state().size(), 4u);
  EXPECT_EQ(optimizer->parameters().size(), 2u);
}

}  // namespace
}  // namespace tapestry::test
