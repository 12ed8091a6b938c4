#include "train/distillation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/random.h"
#include "autograd/tape.h"
#include "tests/support/op_case.h"
#include "tests/support/slope.h"

namespace tapestry::test {
namespace {

constexpr int64_t kVocab = 13;

ModelOptions options(std::vector<std::string> attention, int64_t n_embd = 8) {
  return {.attention = std::move(attention),
          .n_layer = 2,
          .n_head = 2,
          .n_embd = n_embd,
          .n_ctx = 12,
          .vocab_size = kVocab};
}

/// A model in float64 with parameters away from where they start.
std::unique_ptr<LanguageModel> make_model(const ModelOptions& options, uint64_t seed) {
  Config config;
  config.set("bsbr.chunk", "4", "test");
  config.set("bsbr.topk", "all", "test");
  auto model =
      std::make_unique<LanguageModel>(options, config, ModuleContext{.dtype = DType::float64, .seed = seed});
  for (NamedParameter& named : model->parameters()) {
    const Tensor shift = random_tensor(named.parameter.shape(), ++seed, DType::float64, 0.3);
    add_in_place(named.parameter.mutable_value(), shift);
  }
  return model;
}

Tensor some_tokens(uint64_t key) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < 22; ++i) tokens.push_back(static_cast<int32_t>(random_bits(key, i) % kVocab));
  return Tensor::from(tokens, {2, 11});
}

struct Case {
  const char* name;
  DistillationOptions options;
  double match_attention;
  int64_t teacher_width;
};

class DistilledLossOf : public testing::TestWithParam<Case> {};

/// Along one random direction in the space of all parameters.
TEST_P(DistilledLossOf, GradientIsThatOfFiniteDifferences) {
  const auto teacher = make_model(options({"standard"}, GetParam().teacher_width), 100);
  const auto student = make_model(options({"bsbr", "standard"}), 200);
  const Tensor tokens = some_tokens(1), targets = some_tokens(2);
  const auto loss = [&] {
    return distilled_loss(*student, *teacher, tokens, targets, GetParam().options,
                          GetParam().match_attention);
  };
  {
    Tape tape;
    tape.backward(loss().loss);
  }
  for (const auto& named : teacher->parameters()) EXPECT_FALSE(named.parameter.has_gradient()) << named.name;
  expect_slope(movable(student->parameters()), [&] { return loss().loss.item(); });
}

INSTANTIATE_TEST_SUITE_P(Distillation, DistilledLossOf,
                         testing::Values(Case{"mixed", {0.4, 1}, 0, 8}, Case{"softened", {0.9, 3}, 0, 4},
                                         Case{"matched", {0.5, 2}, 0.7, 8}),
                         [](const auto& info) { return info.param.name; });

TEST(DistilledLoss, IsTheSumOfItsParts) {
  const auto teacher = make_model(options({"standard"}), 100);
  const auto student = make_model(options({"bsbr"}), 200);
  const Tensor tokens = some_tokens(1), targets = some_tokens(2);
  const auto loss = [&](double weight, double match) {
    return distilled_loss(*student, *teacher, tokens, targets, {weight, 2}, match);
  };
  const double nll = student->loss(tokens, targets).item();
  EXPECT_NEAR(loss(0, 0).loss.item(), nll, 1e-12);
  EXPECT_NEAR(loss(0.3, 0.5).nll.item(), nll, 1e-12);
  const double kl = loss(1, 0).loss.item(), missed = loss(0, 1).loss.item() - nll;
  EXPECT_GT(kl, 0);
  EXPECT_GT(missed, 0);
  EXPECT_NEAR(loss(0.25, 0.5).loss.item(), 0.75 * nll + 0.25 * kl + 0.5 * missed, 1e-12);
  const StepLoss own = distilled_loss(*teacher, *teacher, tokens, targets, {1, 1}, 1);
  EXPECT_NEAR(own.loss.item(), 0, 1e-12);
}

}  // namespace
}  // namespace tapestry::test
