#include "train/trainer.h"

#include <cmath>
#include <cstdio>

#include "autograd/random.h"
#include "autograd/tape.h"
#include "base/clock.h"
#include "base/resources.h"
#include "base/signals.h"
#include "base/units.h"
#include "data/atomic_file.h"

namespace tapestry {
namespace {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[128];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

/// "step   250/1000  loss 2.012 ppl 7.48  valid 1.98 ppl 7.24  lr 1.0e-03  norm 0.51  12.3 k tok/s ..."
void print_step(const LogRow& row, int64_t max_steps, int64_t step_tokens) {
  std::string line =
      format("step %6lld/%lld", static_cast<long long>(row.step), static_cast<long long>(max_steps));
  if (!std::isnan(row.train_loss))
    line += format("  loss %.4f ppl %.2f", row.train_loss, std::exp(row.train_loss));
  if (!std::isnan(row.valid_loss))
    line += format("  valid %.4f ppl %.2f", row.valid_loss, std::exp(row.valid_loss));
  if (!std::isnan(row.grad_norm)) line += format("  lr %.2e  norm %.2f", row.learning_rate, row.grad_norm);
  if (row.tokens_per_second > 0) {
    line += "  " + format_count(row.tokens_per_second) + " tok/s  " + format_count(row.tokens) + " tokens  " +
            format_bytes(row.peak_memory_bytes) + "  " +
            format_duration((max_steps - row.step) * step_tokens / row.tokens_per_second) + " left";
  }
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

Trainer::Trainer(TrainerParts parts, const TrainOptions& options, double grad_clip, uint64_t seed,
                 TrainingState state)
    : parts_(std::move(parts)),
      options_(options),
      grad_clip_(grad_clip),
      seed_(seed),
      state_(std::move(state)),
      started_(steady_seconds()),
      seconds_before_(state_.seconds),
      logged_at_(state_.seconds),
      tokens_at_log_(state_.tokens) {
  parts_.model.set_recompute(options.recompute == "block");
}

Exit Trainer::run() {
  if (state_.step == 0) save_as(parts_.folder.last());
  RunLog log(parts_.folder.metrics(), state_.step - (state_.unfinished ? 1 : 0));
  if (state_.unfinished) after_step(log);
  while (!finished() && !stop_requested()) {
    step();
    after_step(log);
  }
  settle();
  save_as(parts_.folder.last());
  return finished() && !state_.unfinished ? Exit::done : Exit::stopped;
}

void Trainer::step() {
  saved_.clear();
  std::vector<PartLoss> losses = accumulate_gradients();
  std::vector<Tensor> finite;
  for (const PartLoss& loss : losses) finite.push_back(loss.nll.tensor());
  if (running_) finite.push_back(running_->clipping.scale());  // whatever follows a bad step changes nothing
  StepResult result{state_.step, state_.tokens, parts_.optimizer.steps(), std::move(losses),
                    Clipping(parts_.optimizer.parameters(), grad_clip_, finite)};
  parts_.optimizer.step(parts_.schedule.learning_rate(state_.step), result.clipping.scale());
  parts_.optimizer.zero_grad();
  state_.step += 1;
  state_.tokens += step_tokens();
  state_.unfinished = true;
  settle();
  running_ = std::move(result);
  if (!parts_.model.context().device.is_cuda()) settle();
}

void Trainer::settle() {
  if (running_) take_in(*std::exchange(running_, {}));
}

void Trainer::take_in(const StepResult& result) {
  TokenMean loss;
  for (const PartLoss& part : result.losses)
    loss.add(part.nll.values().front() * static_cast<double>(part.scored), part.scored);
  const GradientNorm norm = result.clipping.read();
  if (!std::isfinite(loss.sum()) || !norm.nonfinite.empty()) {
    state_.step = result.step;
    state_.tokens = result.tokens;
    state_.unfinished = false;
    parts_.optimizer.set_steps(result.updates);
    stop_nonfinite(loss.mean(), norm.nonfinite);
  }
  state_.since_log.add(loss.sum(), loss.tokens());
  state_.grad_norm = norm.norm;
}

std::vector<Batch> Trainer::step_batches() const {
  std::vector<Batch> batches;
  for (int64_t micro = 0; micro < options_.grad_accum; ++micro)
    batches.push_back(parts_.batches.batch(state_.step, micro));
  return batches;
}

std::vector<Trainer::PartLoss> Trainer::accumulate_gradients() {
  const std::vector<Batch> batches = step_batches();
  int64_t scored = 0;
  for (const Batch& batch : batches) scored += batch.scored();
  std::vector<PartLoss> losses;
  for (size_t micro = 0; micro < batches.size(); ++micro) {
    const Batch& batch = batches[micro];
    const Shape shape{batch.batch_size, batch.seq_len};
    Tape tape(combine_keys(combine_keys(seed_, state_.step), micro));
    const StepLoss found =
        parts_.objective(Tensor::from(batch.tokens, shape), Tensor::from(batch.targets, shape));
    losses.push_back({Readback(found.nll), batch.scored()});
    tape.backward(found.loss, static_cast<double>(batch.scored()) / static_cast<double>(scored));
  }
  return losses;
}

void Trainer::stop_nonfinite(double loss, const std::string& parameter) {
  save_as(parts_.folder.last());
  fail(Exit::nonfinite, "step ", state_.step + 1, ": the loss is ", loss,
       parameter.empty() ? "" : " and the gradient of " + parameter + " is not finite",
       "; the state before this step is in ", parts_.folder.last().string(),
       "; lower optim.learning_rate or raise optim.warmup_steps");
}

void Trainer::after_step(RunLog& log) {
  saved_.clear();
  const bool validated = state_.step == 0 || due(options_.eval_every) || finished();
  const bool saves = state_.step > 0 && due(options_.checkpoint_every);
  if (validated || saves || due(options_.log_every)) settle();
  double valid_loss = LogRow::unknown;
  if (validated) untimed([&] { valid_loss = parts_.validate(); });
  // Cut short by a signal: the resumed run begins with what is missing here.
  if (validated && std::isnan(valid_loss) && stop_requested()) return;
  if (validated || due(options_.log_every)) log_step(valid_loss, log);
  state_.unfinished = false;
  untimed([&] {
    if (valid_loss < state_.best_loss) keep_best(valid_loss);
    if (saves) save_numbered();
  });
}

void Trainer::log_step(double valid_loss, RunLog& log) {
  LogRow row{.step = state_.step, .tokens = state_.tokens, .valid_loss = valid_loss};
  if (state_.since_log.tokens() > 0) {
    row.train_loss = state_.since_log.mean();
    row.learning_rate = parts_.schedule.learning_rate(state_.step - 1);
    row.grad_norm = state_.grad_norm;
  }
  row.seconds = seconds_before_ + steady_seconds() - started_;
  if (row.tokens > tokens_at_log_)
    row.tokens_per_second = (row.tokens - tokens_at_log_) / (row.seconds - logged_at_);
  row.peak_memory_bytes = peak_memory_bytes();
  state_.since_log = {};
  state_.seconds = row.seconds;
  state_.history.push_back(row);
  logged_at_ = row.seconds;
  tokens_at_log_ = row.tokens;
  log.write(row);
  print_step(row, options_.max_steps, step_tokens());
}

void Trainer::untimed(const std::function<void()>& work) {
  const double started = steady_seconds();
  work();
  logged_at_ += steady_seconds() - started;
}

void Trainer::keep_best(double valid_loss) {
  state_.best_loss = valid_loss;
  state_.best_step = state_.step;
  // Not a second name of last.h5: what damages one of them leaves the other.
  if (state_.step > 0) parts_.save(parts_.folder.best(), state_);
}

void Trainer::save_numbered() {
  save_as(parts_.folder.step(state_.step));
  save_as(parts_.folder.last());
  parts_.folder.prune(options_.keep);
}

void Trainer::save_as(const std::filesystem::path& path) {
  if (saved_.empty())
    parts_.save(path, state_);
  else
    share_file_atomically(saved_, path);
  saved_ = path;
}

}  // namespace tapestry
