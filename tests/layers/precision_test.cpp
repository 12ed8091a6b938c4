#include <gtest/gtest.h>

#include <cmath>

#include "autograd/random.h"
#include "autograd/tape.h"
#include "layers/attention/attention.h"
#include "layers/language_model.h"
#include "tests/support/in_bf16.h"

namespace tapestry::test {
namespace {

constexpr int64_t kVocab = 96, kTokens = 150;

/// Wide and long enough that its linear layers are worth rounding.
ModelOptions wide(const std::string& attention) {
  return {.attention = {attention}, .n_layer = 2, .n_head = 2, .n_embd = 64, .vocab_size = kVocab};
}

Config small_chunks() {
  Config config;
  for (const char* key :
       {"bsbr.chunk", "linear.chunk", "delta_net.chunk", "gau.chunk", "sliding_window.window"})
    config.set(key, "32", "test");
  return config;
}

Tensor some_tokens(uint64_t key) {
  std::vector<int32_t> tokens(2 * kTokens);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random_bits(key, i) % kVocab);
  return Tensor::from(tokens, {2, kTokens});
}

struct Pass {
  double loss;
  std::vector<std::vector<double>> gradients;  // of the parameters that have one
};

Pass pass(const LanguageModel& model) {
  for (const auto& [name, parameter] : model.parameters()) parameter.clear_gradient();
  Tape tape;
  const Tensor loss = model.loss(some_tokens(1), some_tokens(2));
  tape.backward(loss);
  Pass result{loss.item(), {}};
  for (const auto& [name, parameter] : model.parameters()) {
    if (parameter.has_gradient()) result.gradients.push_back(parameter.gradient().values<double>());
  }
  return result;
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

class Bf16Model : public testing::TestWithParam<std::string> {};

TEST_P(Bf16Model, LossAndGradientsAreThoseOfFloat32WithinItsRounding) {
  SKIP_WITHOUT_BF16();
  // Every token retrieves every chunk: another choice would be another function.
  Config config = small_chunks();
  config.set("bsbr.topk", "all", "test");
  const LanguageModel model(wide(GetParam()), config);
  const Pass exact = pass(model);
  const InBf16 precision;
  const Pass rounded = pass(model);
  EXPECT_NEAR(rounded.loss, exact.loss, 1e-3 * exact.loss);
  EXPECT_NE(rounded.gradients, exact.gradients);
  ASSERT_EQ(rounded.gradients.size(), exact.gradients.size());
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    std::vector<double> off = rounded.gradients[i];
    for (size_t j = 0; j < off.size(); ++j) off[j] -= exact.gradients[i][j];
    EXPECT_LE(norm(off), 0.03 * norm(exact.gradients[i]) + 1e-6) << model.parameters()[i].name;
  }
}

TEST_P(Bf16Model, NoLogitDependsOnALaterToken) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  const LanguageModel model(wide(GetParam()), small_chunks());
  Tensor tokens = some_tokens(1);
  const auto before = model.logits(tokens).values<float>();
  for (const int64_t t : {1, 31, 32, 63, 64, 100, 127, 149}) {
    Tensor changed = tokens.clone();
    changed.mutable_data<int32_t>()[t] = (tokens.data<int32_t>()[t] + 1) % kVocab;
    const auto after = model.logits(changed).values<float>();
    for (int64_t i = 0; i < t * kVocab; ++i) ASSERT_EQ(before[i], after[i]) << "token " << t;
    for (size_t i = kTokens * kVocab; i < after.size(); ++i) ASSERT_EQ(before[i], after[i]) << "token " << t;
    EXPECT_NE(before[t * kVocab], after[t * kVocab]);
  }
}

TEST_P(Bf16Model, TwoPassesHaveTheSameBits) {
  SKIP_WITHOUT_BF16();
  const InBf16 precision;
  const LanguageModel model(wide(GetParam()), small_chunks());
  const Pass first = pass(model), again = pass(model);
  EXPECT_EQ(first.loss, again.loss);
  EXPECT_EQ(first.gradients, again.gradients);
}

std::vector<std::string> attentions() {
  std::vector<std::string> names;
  for (const AttentionKind& kind : attention_kinds()) names.push_back(kind.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Every, Bf16Model, testing::ValuesIn(attentions()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tapestry::test
