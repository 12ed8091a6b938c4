#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "data/id_tokenizer.h"
#include "tests/support/fixture_file.h"
#include "tests/support/temporary_folder.h"
#include "train/gpt2_export.h"
#include "train/mean_nll.h"
#include "train/model_source.h"

namespace tapestry::test {
namespace {

std::vector<std::string> gpt2_folders() { return fixture_files("gpt2", "", ""); }

/// Float32 against a float64 reference (README of the fixtures).
constexpr double kLogitError = 1e-4, kNllError = 1e-4;

Tensor tokens_of(const FixtureArray& ids) {
  const Shape shape = ids.shape.size() == 1 ? Shape{1, ids.shape[0]} : Shape{ids.shape[0], ids.shape[1]};
  return Tensor::from(std::vector<int32_t>(ids.data.begin(), ids.data.end()), shape);
}

class Gpt2Fixture : public testing::TestWithParam<std::string> {
 protected:
  Gpt2Fixture()
      : model(load_model(*open_model_source(GetParam())).model),
        expected(FixtureGroup::open(GetParam() + "/expected.h5")),
        ids(tokens_of(expected.array("ids"))) {}

  void expect_near(const Tensor& found, const std::string& name) {
    const FixtureArray wanted = expected.array(name);
    const auto values = found.values<double>();
    ASSERT_EQ(values.size(), wanted.data.size()) << name;
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], wanted.data[i], kLogitError) << name;
  }

  std::unique_ptr<LanguageModel> model;
  FixtureGroup expected;
  Tensor ids;
};

TEST_P(Gpt2Fixture, LogitsAndHiddenStates) {
  expect_near(model->logits(ids), "logits");
  expect_near(model->final_hidden(ids), "final_hidden");
  const std::vector<Tensor> states = model->hidden_states(ids);
  ASSERT_EQ(states.size(), expected.group("hidden").arrays().size());
  for (size_t i = 0; i < states.size(); ++i) expect_near(states[i], join("hidden/", i));
}

// Of whatever type the weights were.
TEST_P(Gpt2Fixture, SurvivesAnExport) {
  const TemporaryFolder folder;
  const auto source = open_model_source(GetParam());
  export_gpt2(folder.path(), *model, source->config(), IdTokenizer(model->options().vocab_size),
              source->gpt2_config());
  const auto again = load_model(*open_model_source(folder.path())).model;
  EXPECT_EQ(again->logits(ids).values<float>(), model->logits(ids).values<float>());
}

TEST_P(Gpt2Fixture, NllAndPerplexity) {
  const int64_t batch = ids.dim(0), length = ids.dim(1);
  const auto all = ids.values<int32_t>();
  std::vector<int32_t> targets(all.begin() + 1, all.end());
  targets.push_back(0);  // behind the last token of each row stands no target: its value is not looked at
  const auto nll = model->token_nll(ids, Tensor::from(targets, {batch, length})).values<double>();
  const FixtureArray wanted = expected.array("nll");
  double sum = 0;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t + 1 < length; ++t) {
      const double reference = wanted.data[b * (length - 1) + t];
      EXPECT_NEAR(nll[b * length + t], reference, kNllError * reference);
      sum += nll[b * length + t];
    }
  }
  const double mean = sum / static_cast<double>(batch * (length - 1));
  EXPECT_NEAR(mean, expected.number("mean_nll"), kNllError * expected.number("mean_nll"));
  EXPECT_NEAR(std::exp(mean), expected.number("perplexity"), kNllError * expected.number("perplexity"));
}

TEST_P(Gpt2Fixture, StridedPerplexity) {
  const FixtureArray ids = expected.array("long_ids");
  const MemoryTokens text({ids.data.begin(), ids.data.end()});
  const std::vector<std::string> protocols = expected.group("strided").groups();
  ASSERT_FALSE(protocols.empty());
  for (const std::string& name : protocols) {
    const FixtureGroup protocol = expected.group("strided/" + name);
    const TokenMean nll = mean_nll(
        *model, text, text.size(),
        {.strided = true, .seq_len = protocol.integer("window"), .stride = protocol.integer("stride")});
    EXPECT_EQ(nll.tokens(), protocol.integer("tokens_scored")) << name;
    EXPECT_NEAR(nll.sum(), protocol.number("total_nll"), kNllError * protocol.number("total_nll")) << name;
    const double perplexity = protocol.number("perplexity");
    EXPECT_NEAR(std::exp(nll.mean()), perplexity, kNllError * perplexity) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Gpt2Fixture, testing::ValuesIn(gpt2_folders()), [](const auto& info) {
  std::string name = std::filesystem::path(info.param).filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(Gpt2Fixtures, AreThere) { EXPECT_FALSE(gpt2_folders().empty()); }

}  // namespace
}  // namespace tapestry::test
