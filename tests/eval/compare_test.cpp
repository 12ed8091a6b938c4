#include "eval/compare.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/keys_read.h"
#include "tests/support/error_text.h"
#include "tests/support/gpt2_folder.h"
#include "tests/support/shell.h"
#include "train/convert.h"
#include "train/mean_nll.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class Compare : public testing::Test {
 protected:
  Compare() {
    Gpt2Files().write(folder_ / "gpt2");
    source_ = open_model_source(folder_ / "gpt2");
    a_ = load_model(*source_).model;
    Config config;
    config.set("bsbr.chunk", "4", "test");
    config.set("bsbr.topk", "0", "test");
    config.set("bsbr.overlap", "0", "test");
    b_ = convert(*source_, {.attention = {"bsbr"}, .layers = "1"}, config, 1).model;
  }

  static MemoryTokens text(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random_bits(3, i) % 61));
    return MemoryTokens(tokens);
  }

  TemporaryFolder folder_;
  std::unique_ptr<ModelSource> source_;
  std::unique_ptr<LanguageModel> a_, b_;
};

TEST_F(Compare, AModelIsEqualToItself) {
  const Comparison found = compare_models(*a_, *a_, text(100), 20, 10);
  EXPECT_EQ(found.windows(), 4);
  for (int64_t layer = 0; layer < found.layers(); ++layer) {
    EXPECT_NEAR(found.hidden_cosine(layer).mean, 1, 1e-12);
    EXPECT_EQ(found.hidden_mse(layer).mean, 0);
  }
  EXPECT_NEAR(found.of(Measure::kl).mean, 0, 1e-12);
  EXPECT_DOUBLE_EQ(found.of(Measure::top10).mean, 1);
  EXPECT_EQ(found.perplexity_ratio().mean, 1);
  EXPECT_EQ(found.perplexity_ratio().error, 0);
}

TEST_F(Compare, PerplexitiesAreThoseOfDisjointWindows) {
  const MemoryTokens tokens = text(81);
  const Comparison found = compare_models(*a_, *b_, tokens, 20, 4);
  const EvalProtocol protocol{.seq_len = 20};
  const double a = std::exp(mean_nll(*a_, tokens, 81, protocol).mean());
  const double b = std::exp(mean_nll(*b_, tokens, 81, protocol).mean());
  EXPECT_NEAR(found.perplexity_a().mean, a, 1e-4 * a);
  EXPECT_NEAR(found.perplexity_b().mean, b, 1e-4 * b);
  EXPECT_NEAR(found.perplexity_ratio().mean, b / a, 1e-4);
}

TEST_F(Compare, DifferencesStartWhereTheModelsDiffer) {
  const Comparison found = compare_models(*a_, *b_, text(200), 20, 9);
  ASSERT_EQ(found.layers(), 4);
  EXPECT_EQ(found.hidden_mse(0).mean, 0);
  EXPECT_LT(found.hidden_mse(1).mean, 1e-10);
  EXPECT_GT(found.hidden_mse(2).mean, 1e-4);
  EXPECT_GT(found.hidden_mse(3).mean, 1e-4);
  EXPECT_LT(found.hidden_cosine(3).mean, 1 - 1e-4);
  EXPECT_GT(found.hidden_cosine(3).error, 0);
  EXPECT_LT(found.of(Measure::kl, 0, 4), 1e-10);  // the first chunk is exact
  EXPECT_GT(found.of(Measure::kl, 4, 20), 1e-4);
  const double whole = found.of(Measure::kl).mean;
  EXPECT_NEAR((4 * found.of(Measure::kl, 0, 4) + 16 * found.of(Measure::kl, 4, 20)) / 20, whole, 1e-12);
}

TEST_F(Compare, HiddenStatesOnlyOfModelsBuiltAlike) {
  ModelOptions other = Gpt2Files::options();
  other.n_layer = 1;
  const LanguageModel small(other);
  EXPECT_EQ(compare_models(*a_, small, text(30), 20, 1).layers(), 0);
  other.vocab_size = 60;
  const LanguageModel words(other);
  EXPECT_THAT(error_text(Exit::input, [&] { compare_models(*a_, words, text(30), 20, 1); }),
              HasSubstr("vocabulary of 61 tokens, the other of 60"));
  EXPECT_THAT(error_text(Exit::input, [&] { compare_models(*a_, *a_, text(20), 20, 1); }),
              HasSubstr("20 tokens, a window takes 21"));
}

TEST_F(Compare, CommandReportsEverything) {
  const std::string model = folder_ / "bsbr.h5";
  ASSERT_EQ(shell("tapestry convert --from " + (folder_ / "gpt2") + " --output " + model +
                  " --attention bsbr --layers 1 --bsbr.chunk 4 --bsbr.topk 0 --bsbr.overlap 0")
                .status,
            0);
  const ShellResult result = shell("tapestry compare --a " + (folder_ / "gpt2") + " --b " + model +
                                   " --windows 5 --seq-len 12 --json -");
  ASSERT_EQ(result.status, 0) << result.errors;
  const Json report = Json::parse(result.output);
  EXPECT_EQ(report["tokens_compared"], 60);
  EXPECT_EQ(report["hidden"].size(), 4u);
  EXPECT_EQ(report["positions"].size(), 12u);
  EXPECT_LT(report["logits"]["top1_agreement"], 1.0);
  EXPECT_GT(report["perplexity_ratio_error"], 0.0);
  EXPECT_EQ(report["keys_read_a"], 1.0);
  EXPECT_NEAR(report["keys_read_b"].get<double>(), (2 + 30.0 / 78) / 3, 1e-12);
  EXPECT_EQ(shell("tapestry compare --a " + model).status, 2);
}

TEST(KeysRead, ByAttention) {
  const auto share = [](const std::string& attention, const std::map<std::string, std::string>& values) {
    Config config;
    config.set("model.attention", attention, "test");
    config.set("model.n_layer", "2", "test");
    for (const auto& [key, value] : values) config.set(key, value, "test");
    return keys_read_share(config, 4);
  };
  EXPECT_EQ(share("standard", {}), 1);
  EXPECT_EQ(share("standard,sliding_window", {{"sliding_window.window", "1"}}), (1 + 0.4) / 2);
  EXPECT_EQ(share("sliding_window", {{"sliding_window.window", "1"}, {"sliding_window.sink", "1"}}), 0.7);
  EXPECT_EQ(share("bsbr", {{"bsbr.chunk", "2"}, {"bsbr.read", "state"}, {"bsbr.overlap", "0"}}), 0.6);
  EXPECT_EQ(share("bsbr", {{"bsbr.chunk", "1"}, {"bsbr.read", "state"}}), 0.7);
  EXPECT_EQ(share("bsbr", {{"bsbr.chunk", "2"}, {"bsbr.topk", "1"}}), 1);
  EXPECT_EQ(share("hopfield", {}), 1);
  for (const char* states : {"linear", "delta_net", "gau"}) EXPECT_EQ(share(states, {}), std::nullopt);
}

}  // namespace
}  // namespace tapestry::test
