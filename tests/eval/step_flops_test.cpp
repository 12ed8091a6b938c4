#include "eval/step_flops.h"

#include <gtest/gtest.h>

#include "autograd/ops/softmax_attention.h"

namespace tapestry {
namespace {

constexpr int64_t T = 40, C = 24, H = 3, F = 4 * C, V = 70, L = 2;

ModelOptions model_with(const std::string& attention) {
  return {.attention = {attention}, .n_layer = L, .n_head = H, .n_embd = C, .vocab_size = V};
}

Config config_of(std::initializer_list<std::pair<const char*, const char*>> keys) {
  Config config;
  for (const auto& [key, value] : keys) config.set(key, value, "test");
  return config;
}

double product_flops(const ModelOptions& options, const Config& config, bool training) {
  const LanguageModel model(options, config);
  return flops_of(linear_products(model, config, {.batch_size = 2, .seq_len = T, .training = training}));
}

TEST(StepFlops, ProductsAreSixForEachWeightAndToken) {
  const double weights = L * (4 * C * C + 2 * C * F) + V * C;
  EXPECT_DOUBLE_EQ(product_flops(model_with("standard"), {}, true), 6 * weights * 2 * T);
  EXPECT_DOUBLE_EQ(product_flops(model_with("standard"), {}, false), 2 * weights * 2 * T);
}

TEST(StepFlops, OnlyTheOutputOfUntiedEmbeddingsAndNoPositionsAreProducts) {
  ModelOptions options = model_with("standard");
  options.tie_embeddings = false;
  options.positions = "learned";
  options.n_ctx = T;
  EXPECT_DOUBLE_EQ(product_flops(options, {}, true), product_flops(model_with("standard"), {}, true));
}

TEST(StepFlops, TheOutputProjectionRunsInBlocksOfRows) {
  const ModelOptions options = {.attention = {"standard"},
                                .n_layer = 1,
                                .n_head = 1,
                                .n_embd = 2,
                                .vocab_size = 3'000'000,
                                .bias = false};
  const LanguageModel model(options);
  const auto products = linear_products(model, {}, {.batch_size = 1, .seq_len = T});
  const int64_t blocks = (T + 15) / 16, of_norms = 3 * 2;
  EXPECT_EQ(static_cast<int64_t>(products.size()), 3 * (6 + blocks));
  EXPECT_DOUBLE_EQ(flops_of(products), 6.0 * (model.parameter_count() - of_norms) * T);
}

/// Pairs of a query and a key that it sees.
double pairs(const Visible& visible) {
  double count = 0;
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i <= t; ++i) count += i >= visible.first(t) || i < visible.sink;
  }
  return count;
}

TEST(StepFlops, AttentionCountsVisiblePairs) {
  const StepShape shape{.batch_size = 2, .seq_len = T};
  const double of_pair = 3 * 2 * L * 4.0 * C;  // training, sequences, layers; score and value
  EXPECT_DOUBLE_EQ(attention_flops(model_with("standard"), {}, shape), of_pair * pairs({}));
  const Config window = config_of({{"sliding_window.window", "7"}});
  EXPECT_DOUBLE_EQ(attention_flops(model_with("sliding_window"), window, shape),
                   of_pair * pairs({.chunk = 1, .reach = 6}));
  const Config local = config_of({{"bsbr.topk", "0"}, {"bsbr.chunk", "8"}, {"bsbr.overlap", "0"}});
  EXPECT_DOUBLE_EQ(attention_flops(model_with("bsbr"), local, shape),
                   of_pair * pairs({.chunk = 8, .reach = 0}));
}

TEST(StepFlops, ChunkedAttentionsCostWhatTheirFormulasSay) {
  const StepShape shape{.batch_size = 1, .seq_len = T, .training = false};
  const double d = C / H, c = 8, e = 2 * C, s = 16;
  const auto core = [&](const std::string& name, const Config& config) {
    return attention_flops(model_with(name), config, shape);
  };
  EXPECT_DOUBLE_EQ(core("linear", config_of({{"linear.chunk", "8"}})), L * T * C * (4 * d + 2 * c));
  EXPECT_DOUBLE_EQ(core("delta_net", config_of({{"delta_net.chunk", "8"}})), L * T * C * (6 * d + 4 * c));
  EXPECT_DOUBLE_EQ(core("gau", config_of({{"gau.chunk", "8"}, {"gau.s", "16"}})),
                   L * T * (c * (s + e) + 4 * s * e));
  EXPECT_DOUBLE_EQ(core("hopfield", config_of({{"hopfield.steps", "3"}})), 3 * core("standard", {}));
}

TEST(StepFlops, ProjectionsOfAnyWidthCount) {
  const Config config = config_of({{"gau.s", "16"}});
  const double e = 2 * C, weights = L * (C * (3 * e + 16) + 2 * C * F) + V * C;
  EXPECT_DOUBLE_EQ(product_flops(model_with("gau"), config, true), 6 * weights * 2 * T);
}

TEST(StepFlops, BsbrProjectsItsKeysOfChunksOnlyOnce) {
  const Config tokens = config_of({{"bsbr.read", "tokens"}, {"bsbr.chunk", "8"}, {"bsbr.keys", "own"}});
  const Config state = config_of({{"bsbr.read", "state"}, {"bsbr.chunk", "8"}});
  const double standard = product_flops(model_with("standard"), {}, true), chunks = 4;
  const double of_row = 6 * 2 * L * C * C;
  EXPECT_DOUBLE_EQ(product_flops(model_with("bsbr"), tokens, true), standard + of_row * (T + chunks));
  EXPECT_DOUBLE_EQ(product_flops(model_with("bsbr"), state, true), standard + of_row * 2 * chunks);
}

TEST(StepFlops, BsbrCoreCostsWhatItsFormulaSays) {
  const StepShape shape{.batch_size = 1, .seq_len = T, .training = false};
  const double c = 8, N = T / c, d = C / H, local = 4 * C * T * (c + 1) / 2;
  const auto core = [&](const Config& config) { return attention_flops(model_with("bsbr"), config, shape); };
  EXPECT_DOUBLE_EQ(core(config_of({{"bsbr.read", "state"}, {"bsbr.chunk", "8"}, {"bsbr.overlap", "0"}})),
                   L * (local + 4 * T * C * d + N * N * (C + C * d)));
  EXPECT_DOUBLE_EQ(
      core(config_of(
          {{"bsbr.read", "tokens"}, {"bsbr.chunk", "8"}, {"bsbr.topk", "2"}, {"bsbr.overlap", "0"}})),
      L * (local + d * T * T / c + 4 * d * T * 2 * c));  // one head of three
  EXPECT_DOUBLE_EQ(
      core(config_of({{"bsbr.chunk", "8"}, {"bsbr.block", "2"}, {"bsbr.topk", "3"}, {"bsbr.overlap", "0"}})),
      L * (local + d * T * T / 2 + 4 * d * T * 3 * 2));
}

}  // namespace
}  // namespace tapestry
