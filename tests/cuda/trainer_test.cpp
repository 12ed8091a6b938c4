#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "optim/optim_options.h"
#include "tests/support/expect_error.h"
#include "tests/support/needs_cuda.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

using CudaTrainer = NeedsCuda;

class SameBatch : public BatchSource {
 public:
  Batch batch(int64_t, int64_t) const override { return {{1, 2, 3, 4}, {2, 3, 4, 5}, 1, 4}; }
  int64_t tokens_per_step() const override { return 4; }
  std::string progress(int64_t) const override { return {}; }
};

std::vector<float> weights_of(const LanguageModel& model) {
  std::vector<float> all;
  for (const NamedParameter& named : model.parameters()) {
    const auto values = named.parameter.value().values<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// The step after the bad one, which is under way before the host knows, is sound by itself.
TEST_F(CudaTrainer, WhatFollowsABadStepChangesNothing) {
  TemporaryFolder path;
  RunFolder folder(path / "run", RunFolder::Mode::fresh);
  LanguageModel model({.attention = {"standard"}, .n_layer = 1, .n_head = 2, .n_embd = 8, .vocab_size = 7},
                      {}, {.device = Device::cuda(), .seed = 3});
  const OptimOptions optim{.optimizer = "sgd", .learning_rate = 1, .schedule = "constant", .warmup_steps = 0};
  const auto optimizer = make_optimizer(optim, model.parameters());
  int calls = 0;
  const auto second_is_bad = [&](const Tensor& tokens, const Tensor& targets) {
    const Tensor loss = model.loss(tokens, targets);
    return StepLoss{loss, ++calls == 2 ? Tensor::full({}, NAN) : loss.detach()};
  };
  const SameBatch batches;
  TrainOptions options;
  options.grad_accum = 1;
  Trainer trainer({model, second_is_bad, *optimizer, make_schedule(optim, 10), batches, folder,
                   [] { return 0.0; }, [](const std::string&, const TrainingState&) {}},
                  options, 1, 1, {});
  trainer.step();
  const std::vector<float> before = weights_of(model);
  trainer.step();
  expect_error(Exit::nonfinite, "step 2", [&] { trainer.step(); });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(weights_of(model), before);
  EXPECT_EQ(trainer.state().step, 1);
  EXPECT_EQ(optimizer->steps(), 1);
}

}  // namespace
}  // namespace tapestry::test
