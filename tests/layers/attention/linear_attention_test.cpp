#include "layers/attention/linear_attention.h"

#include <gtest/gtest.h>

#include "tests/layers/attention/variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

TEST(LinearAttentionLayer, DoesNotDependOnTheChunk) {
  const auto run = [](const std::string& chunk) {
    Module root(ModuleContext{.dtype = DType::float64});
    const auto layer = make_attention({"linear", "", {{"chunk", chunk}}}, root);
    return (*layer)(random_tensor({2, 70, 12}, 3)).values<double>();
  };
  EXPECT_LE(difference(run("64"), run("1")), 1e-12);
}

TEST(LinearAttentionLayer, RefusesToDivideBySumsThatMayVanish) {
  Module root;
  Config config;
  config.set("linear.feature_map", "identity", "test");
  expect_error(Exit::usage, "set feature_map = elu1 or normalise = no",
               [&] { attention_kind("linear").make(root, {.n_embd = 8, .n_head = 2}, config, 0); });
}

TEST(LinearAttentionLayer, IgnoresRotaryPositions) {
  const auto run = [](bool rotary) {
    Module root;
    const AttentionDims dims{.n_embd = 12, .n_head = 4, .rotary = rotary};
    const auto layer = make_attention({"linear", "", {}, dims}, root);
    return (*layer)(random_tensor({1, 9, 12}, 3, DType::float32)).values<float>();
  };
  EXPECT_EQ(run(true), run(false));
}

}  // namespace
}  // namespace tapestry::test
