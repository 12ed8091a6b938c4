#pragma once

#include "autograd/ops/linear_distillation.h"
#include "train/objective.h"
#include "train/run_setup.h"
#include "train/training_data.h"

namespace tapestry {

/// Mean NLL of the targets mixed with the teacher's predictions as linear_distillation says, plus
/// `match_attention` times the mean over the layers of relative_error of what the attentions add.
StepLoss distilled_loss(const LanguageModel& student, const LanguageModel& teacher, const Tensor& tokens,
                        const Tensor& targets, const DistillationOptions& options, double match_attention);

/// A model that another learns from (train.teacher). It is never changed and drops nothing out.
class Teacher {
 public:
  /// Reads the model onto the device. What does not go with the run (another vocabulary, fewer learned
  /// positions than data.seq_len, other layers to match) is an Error(usage), data of another tokenizer an
  /// Error(input).
  Teacher(const RunSetup& setup, const TrainingData& data, Device device);

  /// distilled_loss, as the run's options say.
  StepLoss loss(const LanguageModel& student, const Tensor& tokens, const Tensor& targets) const {
    return distilled_loss(student, *model_, tokens, targets, {options_.teacher_weight, options_.temperature},
                          options_.match_attention);
  }

  int64_t parameter_count() const { return model_->parameter_count(); }
  /// Names the weights, wherever they were read from.
  const std::string& sha256() const { return sha256_; }

 private:
  void check_fits(const RunSetup& setup) const;

  TrainOptions options_;
  std::unique_ptr<LanguageModel> model_;
  std::string sha256_;
};

/// The loss of a run: with a teacher, or, where it is null, the data's alone. Model and teacher must outlive
/// it.
Objective make_objective(const LanguageModel& model, const Teacher* teacher);

}  // namespace tapestry
