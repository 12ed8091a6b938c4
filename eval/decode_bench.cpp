#include "eval/decode_bench.h"

#include "autograd/random.h"
#include "eval/decoding.h"
#include "eval/stopwatch.h"

namespace tapestry {
namespace {

/// Texts of random tokens that a model reads side by side.
class DecodingSubject {
 public:
  DecodingSubject(const ModelOptions& options, const Config& config, int64_t batch_size,
                  const BenchPlan& plan)
      : model_(options, config, {.device = plan.device, .seed = plan.seed}), seed_(plan.seed) {
    for (int64_t i = 0; i < batch_size; ++i) states_.push_back(model_.begin_decoding());
  }

  int64_t position() const { return states_.front().position(); }
  const DecodingState& state() const { return states_.front(); }
  void restart() {
    for (DecodingState& state : states_) state = model_.begin_decoding();
  }
  void read(int64_t count) {
    for (DecodingState& state : states_) read_tokens(model_, tokens(count), state);
  }
  void step() {
    std::vector<DecodingState*> states;
    for (DecodingState& state : states_) states.push_back(&state);
    const int64_t batch = static_cast<int64_t>(states.size());
    model_.next_logits(Tensor::from(tokens(batch), {batch, 1}), states);
  }

 private:
  std::vector<int32_t> tokens(int64_t count) {
    std::vector<int32_t> ids(count);
    for (int32_t& id : ids)
      id = static_cast<int32_t>(random_bits(seed_, ++drawn_) % model_.options().vocab_size);
    return ids;
  }

  LanguageModel model_;
  std::vector<DecodingState> states_;
  uint64_t seed_, drawn_ = 0;
};

DecodeFigures measure(DecodingSubject& subject, int64_t position, const BenchPlan& plan) {
  DecodeFigures figures;
  const int64_t first_step = std::max<int64_t>(position - plan.warmup, 0);
  if (subject.position() > first_step) subject.restart();
  const double start = steady_seconds();
  if (const int64_t count = first_step - subject.position(); count > 0) subject.read(count);
  figures.read_seconds = steady_seconds() - start;
  while (subject.position() < position) subject.step();
  figures.state_bytes = subject.state().used_bytes();
  figures.held_bytes = subject.state().held_bytes();
  Stopwatch watch;
  for (int64_t i = 0; i < plan.repeats; ++i) {
    watch.time([&] { subject.step(); });
    if (plan.after_run) plan.after_run();
  }
  figures.token = watch.timing();
  return figures;
}

}  // namespace

std::vector<DecodeFigures> bench_decode(const ModelOptions& model, const Config& config,
                                        std::span<const int64_t> positions, int64_t batch_size,
                                        const BenchPlan& plan) {
  DecodingSubject subject(model, config, batch_size, plan);
  std::vector<DecodeFigures> figures;
  for (const int64_t position : positions) figures.push_back(measure(subject, position, plan));
  return figures;
}

}  // namespace tapestry
