#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "autograd/random.h"
#include "autograd/tape.h"
#include "layers/language_model.h"
#include "optim/adamw.h"
#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"
#include "tests/support/slope.h"

namespace tapestry::test {
namespace {

constexpr int64_t kVocab = 19;
// Three chunks of 8 and a ragged fourth.
constexpr int64_t kTokens = 27;

/// A model with one layer of each attention of the factory, or of the one given.
struct Hybrid {
  ModelOptions options{
      .attention = {}, .n_layer = 1, .n_head = 2, .n_embd = 12, .n_ctx = kTokens, .vocab_size = kVocab};
  Config config;

  explicit Hybrid(const std::string& positions, const std::string& only = "") {
    options.positions = positions;
    for (const Variant& variant : variants()) {
      if (variant.name != "default" || (!only.empty() && variant.kind != only)) continue;
      options.attention.push_back(variant.kind);
      for (const auto& [key, value] : variant.options) config.set(variant.kind + "." + key, value, "test");
    }
    options.n_layer = static_cast<int64_t>(options.attention.size());
  }
  std::unique_ptr<LanguageModel> make(DType dtype = DType::float32) const {
    return std::make_unique<LanguageModel>(options, config, ModuleContext{.dtype = dtype, .seed = 5});
  }
  /// With parameters away from where they start, gates and biases of zero among them.
  std::unique_ptr<LanguageModel> make_moved(DType dtype) const {
    auto model = make(dtype);
    uint64_t key = 100;
    for (NamedParameter& named : model->parameters()) {
      const Tensor shift = random_tensor(named.parameter.shape(), ++key, dtype, 0.2);
      add_in_place(named.parameter.mutable_value(), shift);
    }
    return model;
  }
};

Tensor some_tokens(int64_t batch, int64_t length, uint64_t key = 1) {
  std::vector<int32_t> tokens(batch * length);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random_bits(key, i) % kVocab);
  return Tensor::from(tokens, {batch, length});
}

/// Logits of tokens [begin, end) of sequence b.
std::vector<double> rows(const Tensor& logits, int64_t b, int64_t begin, int64_t end) {
  const std::vector<double> all = logits.values<double>();
  const auto start = all.begin() + b * logits.dim(1) * kVocab;
  return {start + begin * kVocab, start + end * kVocab};
}

class HybridModel : public testing::TestWithParam<std::string> {};

TEST_P(HybridModel, NoLogitDependsOnALaterToken) {
  // Float32 would round small leaks away.
  const auto model = Hybrid(GetParam()).make_moved(DType::float64);
  const Tensor tokens = some_tokens(2, kTokens), before = model->logits(tokens);
  for (int64_t t = 0; t < kTokens; ++t) {
    Tensor changed = tokens.clone();
    changed.mutable_data<int32_t>()[t] = (tokens.data<int32_t>()[t] + 1) % kVocab;
    const Tensor after = model->logits(changed);
    EXPECT_EQ(rows(before, 0, 0, t), rows(after, 0, 0, t)) << "a logit before token " << t << " saw it";
    EXPECT_NE(rows(before, 0, t, t + 1), rows(after, 0, t, t + 1)) << "logits " << t << " missed their token";
    EXPECT_EQ(rows(before, 1, 0, kTokens), rows(after, 1, 0, kTokens)) << "another sequence saw token " << t;
  }
}

TEST_P(HybridModel, LogitsOfAPrefixArePrefixOfTheLogits) {
  const auto model = Hybrid(GetParam()).make_moved(DType::float64);
  const Tensor tokens = some_tokens(1, kTokens), logits = model->logits(tokens);
  const int32_t* data = tokens.data<int32_t>();
  for (int64_t n = 1; n < kTokens; ++n) {
    const Tensor prefix = Tensor::from(std::vector<int32_t>(data, data + n), {1, n});
    EXPECT_LE(difference(model->logits(prefix).values<double>(), rows(logits, 0, 0, n)), 1e-10) << n;
  }
}

TEST_P(HybridModel, DecodingGivesTheSameLogits) {
  const auto model = Hybrid(GetParam()).make_moved(DType::float64);
  const Tensor tokens = some_tokens(3, kTokens), logits = model->logits(tokens);
  const auto tokens_of = [&](int64_t b, int64_t begin, int64_t end) {
    const int32_t* sequence = tokens.data<int32_t>() + b * kTokens;
    return std::vector<int32_t>(sequence + begin, sequence + end);
  };
  const int64_t prompts[] = {17, 1, 8};
  std::vector<DecodingState> states;
  for (int64_t b = 0; b < 3; ++b) {
    states.push_back(model->begin_decoding());
    DecodingState* const alone[] = {&states.back()};
    const Tensor prompt = Tensor::from(tokens_of(b, 0, prompts[b]), {1, prompts[b]});
    EXPECT_LE(difference(model->logits_of(model->extend(prompt, alone)).values<double>(),
                         rows(logits, b, 0, prompts[b])),
              1e-10);
  }
  DecodingState* const together[] = {&states[0], &states[1], &states[2]};
  for (int64_t step = 0; states[0].position() < kTokens; ++step) {
    std::vector<int32_t> next;
    for (int64_t b = 0; b < 3; ++b) next.push_back(tokens_of(b, prompts[b] + step, kTokens)[0]);
    const auto y = model->next_logits(Tensor::from(next, {3, 1}), together).values<double>();
    for (int64_t b = 0; b < 3; ++b) {
      EXPECT_LE(difference({y.begin() + b * kVocab, y.begin() + (b + 1) * kVocab},
                           rows(logits, b, prompts[b] + step, prompts[b] + step + 1)),
                1e-10)
          << "sequence " << b << ", step " << step;
    }
  }
}

TEST_P(HybridModel, GradientIsThatOfFiniteDifferences) {
  Hybrid hybrid(GetParam());
  hybrid.config.set("bsbr.topk", "all", "test");  // which chunks are read would change in steps
  const auto model = hybrid.make_moved(DType::float64);
  const Tensor tokens = some_tokens(2, kTokens), targets = some_tokens(2, kTokens, 2);
  {
    Tape tape;
    tape.backward(model->loss(tokens, targets));
  }
  expect_slope(movable(model->parameters()), [&] { return model->loss(tokens, targets).item(); });
}

TEST_P(HybridModel, RecomputeGivesTheSameGradientsBitForBit) {
  std::vector<std::vector<float>> gradients[2];
  for (const bool recompute : {false, true}) {
    const auto model = Hybrid(GetParam()).make_moved(DType::float32);
    model->set_recompute(recompute);
    Tape tape;
    tape.backward(model->loss(some_tokens(2, kTokens), some_tokens(2, kTokens, 2)));
    for (const NamedParameter& named : model->parameters())
      gradients[recompute].push_back(named.parameter.gradient().values<float>());
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

/// The gradients of the parameters that are not frozen, empty for the others.
std::vector<std::vector<float>> gradients_without(const Hybrid& hybrid,
                                                  const std::function<bool(size_t)>& frozen, bool recompute) {
  const auto model = hybrid.make_moved(DType::float32);
  model->set_recompute(recompute);
  const auto parameters = model->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].parameter.set_frozen(frozen(i));
  Tape tape;
  tape.backward(model->loss(some_tokens(2, kTokens), some_tokens(2, kTokens, 2)));
  std::vector<std::vector<float>> gradients;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i].parameter;
    EXPECT_EQ(parameter.has_gradient(), !frozen(i)) << parameters[i].name;
    gradients.push_back(frozen(i) ? std::vector<float>() : parameter.gradient().values<float>());
  }
  return gradients;
}

TEST_P(HybridModel, FrozenParametersGetNoGradientAndLeaveThatOfTheOthers) {
  for (const AttentionKind& kind : attention_kinds()) {
    const Hybrid hybrid(GetParam(), kind.name);
    auto expected = gradients_without(
        hybrid, [](size_t) { return false; }, false);
    const size_t count = expected.size();
    const std::vector<std::function<bool(size_t)>> choices = {
        [](size_t i) { return i % 2 == 0; }, [](size_t i) { return i % 2 == 1; },
        [](size_t i) { return random_bits(4, i) % 2 == 0; }, [=](size_t i) { return i + 1 < count; },
        [](size_t i) { return i > 0; }};
    for (const auto& frozen : choices) {
      auto kept = expected;
      for (size_t i = 0; i < count; ++i) {
        if (frozen(i)) kept[i].clear();
      }
      for (const bool recompute : {false, true})
        EXPECT_EQ(gradients_without(hybrid, frozen, recompute), kept) << kind.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllAttentions, HybridModel, testing::Values("rotary", "learned", "sinusoidal"),
                         [](const auto& info) { return info.param; });

/// Loss on one batch after some steps on it.
double learned_loss(const Hybrid& hybrid) {
  const auto model = hybrid.make();
  const Tensor tokens = some_tokens(2, kTokens), targets = some_tokens(2, kTokens, 2);
  AdamW adamw(model->parameters(), {});
  for (int step = 0; step < 40; ++step) {
    adamw.zero_grad();
    Tape tape;
    tape.backward(model->loss(tokens, targets));
    adamw.step(1e-2);
  }
  return model->loss(tokens, targets).item();
}

TEST(HybridModels, LearnsABatchByHeart) { EXPECT_LT(learned_loss(Hybrid("rotary")), 0.3 * std::log(kVocab)); }

TEST(HybridModels, EachAttentionLearnsABatchByHeart) {
  for (const AttentionKind& kind : attention_kinds()) {
    EXPECT_LT(learned_loss(Hybrid("rotary", kind.name)), 0.5 * std::log(kVocab)) << kind.name;
  }
}

TEST(HybridModels, LayersHaveOptionsOfTheirOwn) {
  Hybrid hybrid("rotary", "gau");
  hybrid.options.attention = {"gau", "gau"};
  hybrid.options.n_layer = 2;
  hybrid.config.set("layer.1.chunk", "4", "test");
  std::vector<int64_t> chunks;
  for (const NamedParameter& named : hybrid.make()->parameters()) {
    if (named.name.ends_with("rel_bias")) chunks.push_back(named.parameter.shape()[0]);
  }
  EXPECT_EQ(chunks, (std::vector<int64_t>{8, 4}));
}

}  // namespace
}  // namespace tapestry::test
