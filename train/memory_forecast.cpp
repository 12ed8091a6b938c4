#include "train/memory_forecast.h"

#include <algorithm>
#include <map>

#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/pool.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kProgramBytes = int64_t{60} << 20;  // measured: a run of a model of a few kilobytes

/// Bytes that an attention holds for a number of tokens: its input and what the tape saves, and the most
/// while forward and backward run.
struct Held {
  double saved = 0, peak = 0;
};

Held hold(const Attention& attention, int64_t width, int64_t tokens) {
  const auto [dtype, device, seed, initialise] = attention.context();
  const Tensor x = Tensor::zeros({1, tokens, width}, dtype, device),
               dy = Tensor::zeros(x.shape(), dtype, device);
  const int64_t before = pool_stats(device).in_use;
  pool_reset_peak(device);
  Tape tape;
  Tensor y = attention(tape.watch(x));
  const double saved = static_cast<double>(tape.saved_bytes());
  tape.backward(std::move(y), dy);
  return {saved, static_cast<double>(pool_stats(device).peak - before) + x.bytes()};
}

/// What holds for `tokens` by two short trials: both grow in proportion, up to a constant. The gradients that
/// the parameters get are there in any case, so the first trial makes them.
Held hold_many(const Attention& attention, int64_t width, const MemoryPlan& plan) {
  const int64_t length = std::min<int64_t>(plan.seq_len, 1024), half = std::max<int64_t>(length / 2, 1);
  hold(attention, width, half);
  const Held a = hold(attention, width, half), b = hold(attention, width, length);
  for (const auto& [name, parameter] : attention.parameters()) parameter.clear_gradient();
  const double more =
      static_cast<double>(plan.batch_size * plan.seq_len - length) / std::max<int64_t>(length - half, 1);
  return {b.saved + (b.saved - a.saved) * more, b.peak + (b.peak - a.peak) * more};
}

/// Of the layers, one trial for each kind of attention.
std::vector<Held> hold_layers(const LanguageModel& model, const MemoryPlan& plan) {
  std::map<std::string, Held> kinds;
  std::vector<Held> layers;
  for (int64_t layer = 0; layer < model.options().n_layer; ++layer) {
    const auto [kind, fresh] = kinds.try_emplace(model.options().attention_of(layer));
    if (fresh) kind->second = hold_many(model.block(layer).attention(), model.options().n_embd, plan);
    layers.push_back(kind->second);
  }
  return layers;
}

}  // namespace

MemoryForecast forecast_memory(const LanguageModel& model, const MemoryPlan& plan) {
  const ModelOptions& options = model.options();
  const double tokens = static_cast<double>(plan.batch_size * plan.seq_len);
  const double row = tokens * options.n_embd * kFloat, inner = tokens * options.inner() * kFloat;
  const int64_t rows_of_logits =
      logit_rows<float>(model.context().device, plan.batch_size * plan.seq_len, options.vocab_size);
  const int64_t predictors = plan.teacher_parameters > 0 ? 2 : 1;
  const double logits =
      static_cast<double>(kFloat * options.vocab_size * (predictors * rows_of_logits + options.n_embd));

  // Kept by the time of the loss, and the most that the blocks hold beyond that on the way back.
  double kept = row, blocks = 0;
  const double at_once = model.block(0).rows_at_once(plan.batch_size * plan.seq_len) / tokens;
  for (const Held& attention : hold_layers(model, plan)) {
    if (plan.recompute) {
      kept += row;
      blocks =
          std::max({blocks, row + attention.peak, attention.saved + 3 * row + at_once * 4 * (row + inner)});
    } else {
      kept += attention.saved + 3 * row + 2 * inner;
      blocks = std::max({blocks, row + inner, attention.peak - attention.saved - 2 * inner});
    }
  }
  const int64_t parameters = kFloat * model.parameter_count();
  int64_t trained = 0;
  for (const auto& [name, parameter] : model.parameters())
    if (!parameter.frozen()) trained += kFloat * parameter.shape().size();
  return {.parameters = parameters + kFloat * plan.teacher_parameters,
          .gradients = trained,
          .optimizer = plan.moments * trained,
          .activations = static_cast<int64_t>(kept + std::max(blocks, 2 * row + logits)),
          .program = kProgramBytes};
}

}  // namespace tapestry
