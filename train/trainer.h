#pragma once

#include <functional>
#include <optional>

#include "data/batch_source.h"
#include "layers/language_model.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/token_mean.h"
#include "train/objective.h"
#include "train/run_folder.h"
#include "train/run_log.h"
#include "train/train_options.h"
#include "train/training_state.h"

namespace tapestry {

/// The parts of a run. The trainer owns none of them.
struct TrainerParts {
  LanguageModel& model;
  Objective objective;
  Optimizer& optimizer;
  Schedule schedule;
  const BatchSource& batches;
  RunFolder& folder;
  /// Mean nats a token on the validation set; NaN when a signal cut it short.
  std::function<double()> validate;
  std::function<void(const std::string& path, const TrainingState&)> save;
};

/// Trains from `state.step` to `max_steps`: batch, loss, backward, update; logs, validates and saves as the
/// options say.
class Trainer {
 public:
  Trainer(TrainerParts parts, const TrainOptions& options, double grad_clip, uint64_t seed,
          TrainingState state);

  /// Exit::done, or Exit::stopped after a signal, both with last.h5 written. A run that starts writes one
  /// before it trains: a disk without room shows itself at once, and a kill always leaves something to
  /// resume. A number that is not finite is Error(nonfinite), with the state before that step in last.h5.
  Exit run();

  /// One optimizer step. An update with a loss or a gradient that is not finite changes nothing, and throws:
  /// on the CPU here, on a device that the host does not wait for with the next step or with `settle`.
  void step();
  /// Takes in what the last step found, when the device has it.
  void settle();

  const TrainingState& state() const { return state_; }

 private:
  /// The loss of a micro-batch.
  struct PartLoss {
    Readback nll;
    int64_t scored;
  };
  /// What a step found, while the device may still be at it.
  struct StepResult {
    int64_t step, tokens, updates;  // before it
    std::vector<PartLoss> losses;
    Clipping clipping;
  };
  /// Gradients of the mean over all scored targets of the step, and the losses of its parts.
  std::vector<PartLoss> accumulate_gradients();
  std::vector<Batch> step_batches() const;
  /// Takes in a step's figures, or stops the run in the state before it.
  void take_in(const StepResult& result);
  [[noreturn]] void stop_nonfinite(double loss, const std::string& parameter);
  void after_step(RunLog& log);
  void log_step(double valid_loss, RunLog& log);
  /// Work that is not training: tokens_per_second leaves its time out.
  void untimed(const std::function<void()>& work);
  void keep_best(double valid_loss);
  void save_numbered();
  /// Where the state was saved already, the file gets a second name.
  void save_as(const std::filesystem::path& path);
  bool due(int64_t every) const { return every > 0 && state_.step % every == 0; }
  bool finished() const { return state_.step >= options_.max_steps; }
  int64_t step_tokens() const { return parts_.batches.tokens_per_step(); }

  TrainerParts parts_;
  TrainOptions options_;
  double grad_clip_;
  uint64_t seed_;
  TrainingState state_;
  std::optional<StepResult> running_;  // the last step, until it is settled
  std::filesystem::path saved_;        // a checkpoint of exactly this state, if there is one
  double started_;                     // seconds on the steady clock when this process began to train
  double seconds_before_;              // spent by earlier starts of the run
  double logged_at_;  // seconds of the run, less later untimed work, and tokens at the last logged step
  int64_t tokens_at_log_;
};

}  // namespace tapestry
