#include "data/synthetic/task_batches.h"

#include "autograd/random.h"

namespace tapestry {
namespace {

enum SplitStream : uint64_t { kTraining, kHeldOut };

}  // namespace

TaskBatches::TaskBatches(std::shared_ptr<const SyntheticTask> task, const BatchOptions& options)
    : task_(std::move(task)), options_(options) {}

Batch TaskBatches::batch(int64_t step, int64_t micro) const {
  require(step >= 0 && micro >= 0 && micro < options_.grad_accum, "step ", step, ", micro-batch ", micro,
          " of ", options_.grad_accum);
  const uint64_t key = combine_keys(static_cast<uint64_t>(options_.seed), kTraining);
  const int64_t first = step * sequences_per_step() + micro * options_.batch_size;
  std::vector<Example> examples;
  for (int64_t i = first; i < first + options_.batch_size; ++i)
    examples.push_back(task_->example(combine_keys(key, static_cast<uint64_t>(i)), Split::train));
  return batch_of(examples);
}

std::string TaskBatches::progress(int64_t step) const {
  return join("sequence ", step * sequences_per_step());
}

Example held_out_example(const SyntheticTask& task, int64_t index) {
  return task.example(combine_keys(combine_keys(0, kHeldOut), static_cast<uint64_t>(index)), Split::valid);
}

std::vector<Example> held_out_examples(const SyntheticTask& task, int64_t first, int64_t count) {
  std::vector<Example> examples;
  for (int64_t i = first; i < first + count; ++i) examples.push_back(held_out_example(task, i));
  return examples;
}

Batch batch_of(const std::vector<Example>& examples) {
  require(!examples.empty(), "a batch of no sequences");
  Batch batch{{}, {}, std::ssize(examples), std::ssize(examples.front().tokens)};
  for (const Example& example : examples) {
    require(std::ssize(example.tokens) == batch.seq_len, "sequences of ", batch.seq_len, " and of ",
            example.tokens.size(), " tokens in a batch");
    batch.tokens.insert(batch.tokens.end(), example.tokens.begin(), example.tokens.end());
    batch.targets.insert(batch.targets.end(), example.targets.begin(), example.targets.end());
  }
  return batch;
}

}  // namespace tapestry
