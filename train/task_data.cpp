#include "train/task_data.h"

#include <numeric>

#include "base/signals.h"
#include "base/units.h"
#include "data/data_options.h"
#include "data/sha256.h"
#include "data/synthetic/task_batches.h"
#include "optim/token_mean.h"
#include "train/run_log.h"

namespace tapestry {
namespace {

/// The task's options and what its filler is made from.
std::string content_hash(const Config& config, const OptionSection& section, const SyntheticTask& task) {
  Sha256 hash;
  hash.update(join("task ", section.name, "\n"));
  for (const Option& option : section.options) {
    const Config::Value* given = config.find(section.name + "." + option.name);
    hash.update(join(option.name, " = ", given ? given->text : option.default_text, "\n"));
  }
  return hash.update(task.filler_sha256()).hex();
}

class TaskData : public TrainingData {
 public:
  explicit TaskData(const Config& config)
      : options_(config.get(data_options())),
        task_(find_task(options_.task).make(config, options_.seq_len)),
        sha256_(content_hash(config, *find_task(options_.task).section, *task_)) {}

  std::string name() const override { return "data.task = " + options_.task; }
  std::string summary() const override {
    return join("task ", options_.task, ", ", options_.held_out, " sequences to validate on, vocabulary ",
                tokenizer()->vocab_size());
  }
  std::string sha256() const override { return sha256_; }
  std::shared_ptr<const Tokenizer> tokenizer() const override { return task_->tokenizer(); }
  std::unique_ptr<BatchSource> batches(const BatchOptions& options) const override {
    require(options.seq_len == options_.seq_len, "sequences of ", options.seq_len, " of a task made for ",
            options_.seq_len);
    return std::make_unique<TaskBatches>(task_, options);
  }

  double validation_loss(const LanguageModel& model, int64_t seq_len, int64_t batch_size,
                         int64_t tokens) const override {
    const int64_t wanted = tokens > 0 ? (tokens + seq_len - 1) / seq_len : options_.held_out;
    const int64_t count = std::min(wanted, options_.held_out);
    TokenMean mean;
    for (int64_t first = 0; first < count; first += batch_size) {
      if (stop_requested()) return LogRow::unknown;
      const Batch batch = batch_of(held_out_examples(*task_, first, std::min(batch_size, count - first)));
      const Shape shape{batch.batch_size, batch.seq_len};
      const Tensor nll =
          model.token_nll(Tensor::from(batch.tokens, shape), Tensor::from(batch.targets, shape));
      const std::vector<double> values = nll.values<double>();
      mean.add(std::accumulate(values.begin(), values.end(), 0.0), batch.scored());
    }
    return mean.mean();
  }

 private:
  DataOptions options_;
  std::shared_ptr<const SyntheticTask> task_;
  std::string sha256_;
};

}  // namespace

std::unique_ptr<TrainingData> make_task_data(const Config& config) {
  return std::make_unique<TaskData>(config);
}

}  // namespace tapestry
