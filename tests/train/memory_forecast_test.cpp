#include "train/memory_forecast.h"

#include <gtest/gtest.h>

#include "autograd/pool.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "layers/attention/attention.h"
#include "optim/optim_options.h"

namespace tapestry::test {
namespace {

Tensor some_tokens(int64_t length, int64_t vocab, uint64_t key) {
  std::vector<int32_t> tokens(length);
  for (int64_t i = 0; i < length; ++i) tokens[i] = static_cast<int32_t>(random_bits(key, i) % vocab);
  return Tensor::from(tokens, {1, length});
}

/// The most that the second training step has in use.
int64_t peak_of_a_step(const LanguageModel& model, int64_t length) {
  const auto optimizer = make_optimizer({}, model.parameters());
  const int64_t vocab = model.options().vocab_size;
  const Tensor tokens = some_tokens(length, vocab, 1), targets = some_tokens(length, vocab, 2);
  for (int step = 0; step < 2; ++step) {
    pool_reset_peak(Device::cpu());
    Tape tape;
    tape.backward(model.loss(tokens, targets));
    optimizer->step(1e-3, 1);
    optimizer->zero_grad();
  }
  return pool_stats(Device::cpu()).peak;
}

struct Case {
  std::string attention;
  bool recompute;
};

class MemoryForecastOf : public testing::TestWithParam<Case> {};

TEST_P(MemoryForecastOf, IsWithin15PercentOfAStepsPeak) {
  const auto& [attention, recompute] = GetParam();
  constexpr int64_t length = 6000;
  Config config;
  for (const char* key :
       {"bsbr.chunk", "linear.chunk", "delta_net.chunk", "gau.chunk", "sliding_window.window"})
    config.set(key, "32", "test");
  const int64_t before = pool_stats(Device::cpu()).in_use;
  LanguageModel model({.attention = {attention}, .n_layer = 3, .n_head = 2, .n_embd = 32, .vocab_size = 50},
                      config);
  model.set_recompute(recompute);
  const MemoryForecast forecast = forecast_memory(model, {.seq_len = length, .recompute = recompute});
  for (const auto& [name, parameter] : model.parameters()) EXPECT_FALSE(parameter.has_gradient()) << name;
  const double peak = static_cast<double>(peak_of_a_step(model, length) - before);
  EXPECT_NEAR(static_cast<double>(forecast.total() - forecast.program), peak, 0.15 * peak);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const AttentionKind& kind : attention_kinds()) {
    // Those that cost T x T take long at a length at which the rest does not matter.
    if (kind.name == "standard" || kind.name == "hopfield") continue;
    for (const bool recompute : {false, true}) all.push_back({kind.name, recompute});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Every, MemoryForecastOf, testing::ValuesIn(cases()), [](const auto& info) {
  return info.param.attention + (info.param.recompute ? "_recomputed" : "");
});

}  // namespace
}  // namespace tapestry::test
