#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "optim/optim_options.h"
#include "tests/support/temporary_folder.h"
#include "train/distillation.h"

namespace tapestry::test {
namespace {

/// Four sequences with 1, 5, 2 and 8 scored targets, in micro-batches of `batch_size`.
class UnevenBatches : public BatchSource {
 public:
  explicit UnevenBatches(int64_t batch_size) : batch_size_(batch_size) {}
  Batch batch(int64_t, int64_t micro) const override {
    constexpr int64_t scored[] = {1, 5, 2, 8};
    Batch batch{{}, {}, batch_size_, 8};
    for (int64_t row = micro * batch_size_; row < (micro + 1) * batch_size_; ++row) {
      for (int64_t t = 0; t < 8; ++t) {
        batch.tokens.push_back(static_cast<int32_t>((row * 3 + t * t) % 7));
        batch.targets.push_back(t < scored[row] ? static_cast<int32_t>((row + t) % 7) : kUnscored);
      }
    }
    return batch;
  }
  int64_t tokens_per_step() const override { return 32; }
  std::string progress(int64_t) const override { return {}; }

 private:
  int64_t batch_size_;
};

struct Stepped {
  std::vector<float> weights;
  double loss;
};

/// The model after one step of gradient descent, and the loss it saw.
Stepped step_with(int64_t batch_size) {
  TemporaryFolder path;
  RunFolder folder(path / "run", RunFolder::Mode::fresh);
  LanguageModel model({.attention = {"standard"}, .n_layer = 1, .n_head = 2, .n_embd = 8, .vocab_size = 7},
                      {}, {.seed = 3});
  const OptimOptions optim{
      .optimizer = "sgd", .learning_rate = 1, .grad_clip = 0, .schedule = "constant", .warmup_steps = 0};
  const auto optimizer = make_optimizer(optim, model.parameters());
  const UnevenBatches batches(batch_size);
  TrainOptions options;
  options.grad_accum = 4 / batch_size;
  Trainer trainer({model, make_objective(model, nullptr), *optimizer, make_schedule(optim, 10), batches,
                   folder, [] { return 0.0; }, [](const std::string&, const TrainingState&) {}},
                  options, 0, 1, {});
  trainer.step();
  Stepped result{{}, trainer.state().since_log.mean()};
  for (const NamedParameter& parameter : model.parameters()) {
    const auto values = parameter.parameter.value().values<float>();
    result.weights.insert(result.weights.end(), values.begin(), values.end());
  }
  return result;
}

TEST(Trainer, EveryScoredTargetWeighsTheSameInWhicheverMicroBatchItStands) {
  const Stepped whole = step_with(4);
  for (const int64_t batch_size : {1, 2}) {
    const Stepped parts = step_with(batch_size);
    EXPECT_NEAR(parts.loss, whole.loss, 1e-6);
    ASSERT_EQ(parts.weights.size(), whole.weights.size());
    double worst = 0;
    for (size_t i = 0; i < whole.weights.size(); ++i)
      worst = std::max(worst, std::abs(double(parts.weights[i]) - whole.weights[i]));
    EXPECT_LT(worst, 1e-6) << batch_size;
  }
}

}  // namespace
}  // namespace tapestry::test
