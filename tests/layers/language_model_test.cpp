#include "layers/language_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/pool.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

constexpr int64_t kVocab = 19;

ModelOptions small(std::vector<std::string> attention, std::string positions = "rotary") {
  return {.attention = std::move(attention),
          .n_layer = 2,
          .n_head = 2,
          .n_embd = 12,
          .n_ctx = 40,
          .vocab_size = kVocab,
          .positions = std::move(positions)};
}

Tensor some_tokens(int64_t batch, int64_t length, uint64_t key = 1) {
  std::vector<int32_t> tokens(batch * length);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random_bits(key, i) % kVocab);
  return Tensor::from(tokens, {batch, length});
}

Config small_chunks() {
  Config config;
  config.set("bsbr.chunk", "8", "test");
  return config;
}

class Positions : public testing::TestWithParam<std::string> {};

TEST_P(Positions, NoLogitDependsOnALaterToken) {
  const LanguageModel model(small({"bsbr", "standard"}, GetParam()), small_chunks());
  Tensor tokens = some_tokens(1, 33);
  const auto before = model.logits(tokens).values<float>();
  tokens.mutable_data<int32_t>()[20] = (tokens.data<int32_t>()[20] + 1) % kVocab;
  const auto after = model.logits(tokens).values<float>();
  for (int64_t i = 0; i < 20 * kVocab; ++i) ASSERT_EQ(before[i], after[i]);
  EXPECT_NE(before[20 * kVocab], after[20 * kVocab]);
}

INSTANTIATE_TEST_SUITE_P(LanguageModel, Positions,
                         testing::Values("learned", "sinusoidal", "rotary", "none"));

TEST(LanguageModel, StartsNearTheUniformDistribution) {
  const LanguageModel model(small({"standard"}));
  EXPECT_NEAR(model.loss(some_tokens(2, 30), some_tokens(2, 30, 2)).item(), std::log(kVocab), 0.05);
}

TEST(LanguageModel, LossIsTheMeanOfTheTokensAndOfTheLogits) {
  const LanguageModel model(small({"bsbr"}), small_chunks());
  const Tensor tokens = some_tokens(2, 21), targets = some_tokens(2, 21, 2);
  const auto nll = model.token_nll(tokens, targets).values<double>();
  const auto logits = model.logits(tokens).values<double>();
  double sum = 0;
  for (size_t i = 0; i < nll.size(); ++i) {
    double total = 0;
    for (int64_t v = 0; v < kVocab; ++v) total += std::exp(logits[i * kVocab + v]);
    EXPECT_NEAR(nll[i], std::log(total) - logits[i * kVocab + targets.data<int32_t>()[i]], 1e-5);
    sum += nll[i];
  }
  EXPECT_NEAR(model.loss(tokens, targets).item(), sum / nll.size(), 1e-6);
}

TEST(LanguageModel, RecomputeGivesTheSameGradientsBitForBit) {
  ModelOptions options = small({"bsbr"});
  options.dropout = 0.2;
  const Tensor tokens = some_tokens(2, 21), targets = some_tokens(2, 21, 2);
  std::vector<std::vector<float>> gradients[2];
  int64_t saved[2];
  for (int recompute : {0, 1}) {
    LanguageModel model(options, small_chunks());
    model.set_recompute(recompute == 1);
    Tape tape(7);
    const Tensor loss = model.loss(tokens, targets);
    saved[recompute] = tape.saved_bytes();
    tape.backward(loss);
    for (const NamedParameter& named : model.parameters()) {
      gradients[recompute].push_back(named.parameter.gradient().values<float>());
    }
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_LT(saved[1], saved[0] / 2);
}

/// More tokens than the feed-forward part takes at a time.
TEST(LanguageModel, RecomputesLongSequencesByRows) {
  const Tensor tokens = some_tokens(1, 9001), targets = some_tokens(1, 9001, 2);
  std::vector<std::vector<double>> gradients[2];
  int64_t peak[2];
  double losses[2];
  for (int recompute : {0, 1}) {
    LanguageModel model(small({"sliding_window"}), small_chunks());
    model.set_recompute(recompute == 1);
    pool_reset_peak(Device::cpu());
    Tape tape;
    const Tensor loss = model.loss(tokens, targets);
    tape.backward(loss);
    peak[recompute] = pool_stats(Device::cpu()).peak - pool_stats(Device::cpu()).in_use;
    losses[recompute] = loss.item();
    for (const NamedParameter& named : model.parameters())
      gradients[recompute].push_back(named.parameter.gradient().values<double>());
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-6);
  for (size_t i = 0; i < gradients[0].size(); ++i)
    EXPECT_LE(difference(gradients[1][i], gradients[0][i]), 1e-6);
  EXPECT_LT(peak[1], peak[0] / 2);
  const LanguageModel model(small({"sliding_window"}), small_chunks());
  EXPECT_NEAR(model.loss(tokens, targets).item(), losses[0], 1e-6);
}

TEST(LanguageModel, EveryParameterGetsAGradientAndStartsFromSeedAndName) {
  LanguageModel model(small({"bsbr", "standard"}, "learned"), small_chunks(), {.seed = 3});
  Tape tape;
  tape.backward(model.loss(some_tokens(1, 40), some_tokens(1, 40, 2)));
  for (const auto& [name, parameter] : model.parameters()) EXPECT_TRUE(parameter.has_gradient()) << name;
  const LanguageModel same(small({"bsbr", "standard"}, "learned"), small_chunks(), {.seed = 3});
  const LanguageModel other(small({"bsbr", "standard"}, "learned"), small_chunks(), {.seed = 4});
  const auto first = [](const LanguageModel& m) {
    return m.parameters()[0].parameter.value().values<float>();
  };
  EXPECT_EQ(first(model), first(same));
  EXPECT_NE(first(model), first(other));
}

TEST(LanguageModel, ErrorsNameWhatDoesNotFit) {
  ModelOptions heads = small({"standard"});
  heads.n_head = 5;
  expect_error(Exit::usage, "n_head = 5", [&] { LanguageModel model(heads); });
  expect_error(Exit::usage, "3 attentions for 2 layers", [&] {
    LanguageModel model(small({"standard", "standard", "standard"}));
  });
  expect_error(Exit::usage, "standrad", [&] { LanguageModel model(small({"standrad"})); });
  const LanguageModel learned(small({"standard"}, "learned"));
  expect_error(Exit::usage, "n_ctx", [&] { learned.logits(some_tokens(1, 41)); });
}

TEST(LanguageModel, DecodingEndsWithTheLearnedPositions) {
  const LanguageModel model(small({"linear"}, "learned"));
  DecodingState state = model.begin_decoding();
  DecodingState* const states[] = {&state};
  model.extend(some_tokens(1, 40), states);
  expect_error(Exit::usage, "41 tokens, but the model has learned 40 positions",
               [&] { model.extend(some_tokens(1, 1), states); });
}

/// The weights after two steps on 600 tokens: no product of matrices sums over as many as 1000 numbers.
std::vector<std::vector<float>> trained(const std::string& attention, const std::string& bsbr_read) {
  const ModelOptions options{
      .attention = {attention}, .n_layer = 2, .n_head = 4, .n_embd = 64, .n_ctx = 300, .vocab_size = kVocab};
  Config config;
  config.set("bsbr.read", bsbr_read, "test");
  LanguageModel model(options, config, {.seed = 5});
  AdamW adamw(model.parameters(), {});
  for (uint64_t step = 0; step < 2; ++step) {
    adamw.zero_grad();
    Tape tape;
    tape.backward(model.loss(some_tokens(2, 300, step), some_tokens(2, 300, step + 7)));
    adamw.step(1e-3, clip_gradient_norm(model.parameters(), 0.1).scale);
  }
  std::vector<std::vector<float>> weights;
  for (const NamedParameter& named : model.parameters())
    weights.push_back(named.parameter.value().values<float>());
  return weights;
}

TEST(LanguageModel, TrainingHasTheSameBitsForAnyNumberOfThreads) {
  for (const AttentionKind& kind : attention_kinds()) {
    SCOPED_TRACE(kind.name);
    expect_same_for_any_threads([&] { return trained(kind.name, "tokens"); });
  }
  SCOPED_TRACE("read = state");
  expect_same_for_any_threads([] { return trained("bsbr", "state"); });
}

}  // namespace
}  // namespace tapestry::test
