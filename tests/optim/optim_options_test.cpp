#include "optim/optim_options.h"

#include <gtest/gtest.h>

#include "tests/base/example_options.h"

namespace tapestry {
namespace {

OptimOptions read(const std::vector<std::string>& words) {
  Config config;
  read_command_line(words, {&optim_options()}, config);
  return config.get(optim_options());
}

TEST(OptimOptions, DefaultsFitAnyRun) {
  for (const int64_t max_steps : {1, 2, 10, 100'000}) {
    const Schedule schedule = make_schedule({}, max_steps);
    EXPECT_EQ(schedule.warmup_steps, std::min<int64_t>(100, max_steps / 10));
    EXPECT_GT(schedule.learning_rate(0), 0);
  }
  EXPECT_NO_THROW(make_schedule(read({"--optim.learning_rate", "1e-7"}), 10));
}

TEST(OptimOptions, KeysReachTheSchedule) {
  const Schedule schedule =
      make_schedule(read({"--optim.schedule", "wsd", "--optim.learning_rate", "0.5", "--optim.min_lr", "0.25",
                          "--optim.warmup_steps", "7", "--optim.decay_fraction", "0.1"}),
                    200);
  EXPECT_EQ(schedule.shape, Schedule::Shape::wsd);
  EXPECT_EQ(schedule.peak, 0.5);
  EXPECT_EQ(schedule.floor, 0.25);
  EXPECT_EQ(schedule.warmup_steps, 7);
  EXPECT_EQ(schedule.decay_steps, 20);
}

TEST(OptimOptions, KeysReachTheOptimizer) {
  const Parameter parameter(Tensor::zeros({2, 2}));
  const auto first_state = [&](const std::vector<std::string>& words) {
    const auto optimizer = make_optimizer(read(words), {{"p", parameter}});
    return optimizer->state().empty() ? "" : optimizer->state().front().name;
  };
  EXPECT_EQ(first_state({}), "m/p");
  EXPECT_EQ(first_state({"--optim.optimizer", "sgd"}), "momentum/p");
  EXPECT_EQ(first_state({"--optim.optimizer", "sgd", "--optim.momentum", "0"}), "");
}

TEST(OptimOptions, ContradictionsAreListedTogether) {
  const std::string message = usage_error([] {
    make_schedule(read({"--optim.min_lr", "1", "--optim.learning_rate", "0.1", "--optim.warmup_steps", "20",
                        "--optim.optimizer", "sgd", "--optim.nesterov", "--optim.momentum", "0"}),
                  20);
  });
  for (const char* part : {"3 problems", "optim.min_lr 1 is above optim.learning_rate 0.1",
                           "optim.warmup_steps 20 must be less than the 20 steps", "optim.nesterov"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(OptimOptions, WarmupAndDecayMustFit) {
  OptimOptions options;
  options.schedule = "wsd";
  options.decay_fraction = 0.5;
  options.warmup_steps = 11;
  EXPECT_NE(usage_error([&] { make_schedule(options, 20); }).find("do not fit"), std::string::npos);
  options.warmup_steps = 10;
  EXPECT_NO_THROW(make_schedule(options, 20));
}

TEST(OptimOptions, RangesAreChecked) {
  for (const char* word :
       {"--optim.learning_rate=0", "--optim.beta1=1", "--optim.eps=0", "--optim.grad_clip=-1",
        "--optim.warmup_steps=-2", "--optim.decay_fraction=1.5", "--optim.optimizer=adm"}) {
    EXPECT_NE(usage_error([&] { read({word}); }), "") << word;
  }
}

}  // namespace
}  // namespace tapestry
