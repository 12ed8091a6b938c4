#include "train/convert.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/error_text.h"
#include "tests/support/gpt2_folder.h"
#include "train/gpt2_import.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;
using Settings = std::map<std::string, std::string>;

constexpr int64_t kTokens = 23;

Config given(const Settings& settings) {
  Config config;
  for (const auto& [key, value] : settings) config.set(key, value, "command line");
  return config;
}

class Convert : public testing::Test {
 protected:
  Convert() {
    Gpt2Files().write(folder_.path());
    source_ = open_model_source(folder_.path());
    original_ = load_model(*source_);
    std::vector<int32_t> tokens;
    for (int i = 0; i < 2 * kTokens; ++i) tokens.push_back(static_cast<int32_t>(random_bits(3, i) % 61));
    tokens_ = Tensor::from(tokens, {2, kTokens});
  }

  Conversion made(const ConvertOptions& options, const Settings& settings = {}) {
    return convert(*source_, options, given(settings), 1);
  }
  std::string refusal(const ConvertOptions& options, const Settings& settings = {}) {
    return error_text(Exit::usage, [&] { made(options, settings); });
  }
  /// The largest difference of the logits from the original's.
  double difference(const LanguageModel& model) {
    const auto a = original_.model->logits(tokens_).values<double>();
    const auto b = model.logits(tokens_).values<double>();
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  }
  static Tensor parameter(const LanguageModel& model, const std::string& name) {
    for (const auto& named : model.parameters())
      if (named.name == name) return named.parameter.value();
    ADD_FAILURE() << "no parameter " << name;
    return Tensor::zeros({1});
  }

  TemporaryFolder folder_;
  std::unique_ptr<ModelSource> source_;
  LoadedModel original_;
  Tensor tokens_;
};

/// Logits of this model are of size 1 to 10.
constexpr double kRounding = 2e-5;

TEST_F(Convert, BsbrThatSeesEverythingIsTheOriginalOnAnyLayers) {
  const std::vector<Settings> exact = {
      {{"bsbr.chunk", "23"}},                          // chunk >= T
      {{"bsbr.chunk", "64"}, {"bsbr.read", "state"}},  //
      {{"bsbr.chunk", "5"}, {"bsbr.overlap", "23"}},   // overlap >= T
      {{"bsbr.chunk", "5"}, {"bsbr.overlap", "23"}, {"bsbr.read", "state"}},
      {{"bsbr.chunk", "5"}, {"bsbr.topk", "4"}},  // k >= finished chunks
      {{"bsbr.chunk", "4"}, {"bsbr.topk", "all"}, {"bsbr.overlap", "3"}, {"bsbr.sink", "2"}},
      {{"bsbr.chunk", "5"}, {"bsbr.topk", "all"}, {"bsbr.keys", "own"}},
      {{"bsbr.chunk", "5"}, {"bsbr.topk", "all"}, {"bsbr.keys", "own"}, {"bsbr.score_bias", "head"}}};
  for (const Settings& settings : exact) {
    for (const char* layers : {"all", "0,2", "0", "2", "1-2"}) {
      const Conversion conversion = made({.attention = {"bsbr"}, .layers = layers}, settings);
      EXPECT_LT(difference(*conversion.model), kRounding)
          << layers << " " << testing::PrintToString(settings);
    }
  }
}

// Also beside attentions that are the original's by other options, and on longer positions.
TEST_F(Convert, AMixtureOfExactAttentionsIsTheOriginal) {
  const Settings settings = {
      {"bsbr.chunk", "5"}, {"bsbr.topk", "all"}, {"sliding_window.window", "23"}, {"layer.2.chunk", "4"}};
  for (const int64_t n_ctx : {0, 60}) {
    const Conversion conversion =
        made({.attention = {"sliding_window", "standard", "bsbr"}, .n_ctx = n_ctx, .positions = "repeat"},
             settings);
    EXPECT_LT(difference(*conversion.model), kRounding) << n_ctx;
  }
}

TEST_F(Convert, ReadingLessIsAnotherModel) {
  EXPECT_GT(
      difference(
          *made({.attention = {"bsbr"}, .layers = "2"}, {{"bsbr.chunk", "5"}, {"bsbr.topk", "1"}}).model),
      1e-2);
  EXPECT_GT(difference(*made({.attention = {"bsbr"}}, {{"bsbr.chunk", "5"}, {"bsbr.topk", "0"}}).model),
            1e-2);
}

TEST_F(Convert, SlidingWindowOfTheWholeLengthIsTheOriginal) {
  EXPECT_LT(difference(*made({.attention = {"sliding_window"}}, {{"sliding_window.window", "23"}}).model),
            kRounding);
}

TEST_F(Convert, TheTokenFormNeedsNoNewParameters) {
  const Conversion conversion = made({.attention = {"bsbr"}}, {{"bsbr.chunk", "5"}});
  EXPECT_TRUE(conversion.started.empty());
  EXPECT_TRUE(conversion.dropped.empty());
  EXPECT_EQ(conversion.kept, original_.model->parameter_count());
}

TEST_F(Convert, TheStateFormStartsAsItsLocalPartWithAverages) {
  const Conversion conversion =
      made({.attention = {"bsbr"}, .layers = "1"}, {{"bsbr.chunk", "5"}, {"bsbr.read", "state"}});
  const Conversion local =
      made({.attention = {"bsbr"}, .layers = "1"}, {{"bsbr.chunk", "5"}, {"bsbr.topk", "0"}});
  EXPECT_EQ(conversion.model->logits(tokens_).values<float>(), local.model->logits(tokens_).values<float>());
  for (const char* part : {"weight", "bias"}) {
    const std::string attention = "blocks.1.attention.";
    const auto values = [&](const std::string& name) {
      return parameter(*conversion.model, attention + name + "." + part).values<float>();
    };
    const auto q = values("q"), k = values("k"), v = values("v"), r = values("r"), h = values("h");
    for (size_t i = 0; i < q.size(); ++i) {
      ASSERT_EQ(r[i], (q[i] + k[i]) / 2);
      ASSERT_EQ(h[i], (k[i] + v[i]) / 2);
    }
  }
  ASSERT_EQ(conversion.started.size(), 5u);
  EXPECT_EQ(parameter(*conversion.model, "blocks.1.attention.gate").values<float>(),
            (std::vector<float>{0, 0}));
}

TEST_F(Convert, OwnKeysOfTheTokenFormAreCopies) {
  const Conversion conversion =
      made({.attention = {"bsbr"}}, {{"bsbr.keys", "own"}, {"bsbr.score_bias", "head"}});
  const auto values = [&](const std::string& name) {
    return parameter(*conversion.model, "blocks.2.attention." + name).values<float>();
  };
  EXPECT_EQ(values("r.weight"), values("q.weight"));
  EXPECT_EQ(values("h.weight"), values("k.weight"));
  EXPECT_EQ(values("score_gain"), (std::vector<float>{0, 0}));
}

TEST_F(Convert, OtherNewParametersStartAsInTraining) {
  const Conversion conversion = made({.attention = {"delta_net"}, .layers = "1"});
  const LanguageModel trained(conversion.config.get(model_options()), conversion.config, {.seed = 1});
  ASSERT_FALSE(conversion.started.empty());
  for (const auto& started : conversion.started) {
    EXPECT_EQ(started.from, "as in training");
    EXPECT_EQ(parameter(*conversion.model, started.name).values<float>(),
              parameter(trained, started.name).values<float>());
  }
}

TEST_F(Convert, LongerPositionsRepeatOrInterpolate) {
  const auto old = parameter(*original_.model, "positions.weight").values<float>();
  const auto rows = [&](int64_t n_ctx, const std::string& how) {
    const Conversion conversion = made({.n_ctx = n_ctx, .positions = how});
    EXPECT_EQ(conversion.model->options().n_ctx, n_ctx);
    return parameter(*conversion.model, "positions.weight").values<float>();
  };
  const auto repeated = rows(60, "repeat"), interpolated = rows(47, "interpolate"),
             shorter = rows(7, "repeat");
  for (int64_t row = 0; row < 60; ++row)
    for (int64_t i = 0; i < 16; ++i) ASSERT_EQ(repeated[row * 16 + i], old[row % 24 * 16 + i]);
  for (int64_t row = 0; row < 47; ++row) {  // 46 = 2 x 23 steps: every other row is old
    for (int64_t i = 0; i < 16; ++i) {
      const float between = (old[row / 2 * 16 + i] + old[(row + 1) / 2 * 16 + i]) / 2;
      ASSERT_NEAR(interpolated[row * 16 + i], between, 1e-6);
    }
  }
  for (size_t i = 0; i < shorter.size(); ++i) ASSERT_EQ(shorter[i], old[i]);
  EXPECT_EQ(difference(*made({.n_ctx = 60}).model), 0);
}

TEST_F(Convert, AListNamesEveryLayer) {
  const Conversion conversion = made({.attention = {"standard", "bsbr", "sliding_window"}});
  EXPECT_EQ(conversion.config.get(model_options()).attention,
            (std::vector<std::string>{"standard", "bsbr", "sliding_window"}));
  EXPECT_EQ(made({.attention = {"bsbr"}, .layers = "0,1-2"}).config.get(model_options()).attention,
            std::vector<std::string>{"bsbr"});
}

TEST_F(Convert, SaysWhatDoesNotFit) {
  EXPECT_THAT(refusal({.attention = {"bsbr", "standard"}}), HasSubstr("lists 2 attentions, the model has 3"));
  EXPECT_THAT(refusal({.attention = {"bsbr"}, .layers = "1-3"}), HasSubstr("'3' is no layer from 0 to 2"));
  EXPECT_THAT(refusal({.attention = {"bsbr"}, .layers = "2-1"}), HasSubstr("runs backwards"));
  EXPECT_THAT(refusal({.attention = {"bsbr"}, .layers = ""}), HasSubstr("names no layer"));
  EXPECT_THAT(refusal({.layers = "1"}), HasSubstr("give --attention with it"));
  EXPECT_THAT(refusal({.attention = {"bsbrr"}}), HasSubstr("bsbr"));
  EXPECT_THAT(refusal({}, {{"bsbr.chunk", "5"}}), HasSubstr("no layer is bsbr"));
}

TEST_F(Convert, LayersOfTheirOwnOptions) {
  const Conversion conversion = made(
      {.attention = {"bsbr"}}, {{"bsbr.chunk", "5"}, {"layer.1.read", "state"}, {"layer.2.keys", "own"}});
  std::vector<std::string> names;
  for (const auto& started : conversion.started) names.push_back(started.name);
  EXPECT_THAT(names, testing::IsSupersetOf({"blocks.1.attention.gate", "blocks.2.attention.r.weight"}));
  EXPECT_EQ(names.size(), 5u + 2u);
}

}  // namespace
}  // namespace tapestry::test
