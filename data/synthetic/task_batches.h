#pragma once

#include "data/batch_source.h"
#include "data/synthetic/task.h"

namespace tapestry {

/// Training batches of a task: every sequence is a new one.
class TaskBatches : public BatchSource {
 public:
  TaskBatches(std::shared_ptr<const SyntheticTask> task, const BatchOptions& options);
  Batch batch(int64_t step, int64_t micro) const override;
  int64_t tokens_per_step() const override { return sequences_per_step() * options_.seq_len; }
  std::string progress(int64_t step) const override;

 private:
  int64_t sequences_per_step() const { return options_.batch_size * options_.grad_accum; }

  std::shared_ptr<const SyntheticTask> task_;
  BatchOptions options_;
};

/// Sequence `index` of the fixed set that no training seed gives.
Example held_out_example(const SyntheticTask& task, int64_t index);
/// `count` of them from `first` on.
std::vector<Example> held_out_examples(const SyntheticTask& task, int64_t first, int64_t count);

/// Sequences of one length as a batch.
Batch batch_of(const std::vector<Example>& examples);

}  // namespace tapestry
