#include "train/training_data.h"

#include "base/signals.h"
#include "base/units.h"
#include "data/data_options.h"
#include "data/loader.h"
#include "data/token_file.h"
#include "train/mean_nll.h"
#include "train/run_log.h"
#include "train/task_data.h"

namespace tapestry {
namespace {

class TextData : public TrainingData {
 public:
  explicit TextData(const std::string& path) : file_(path), tokenizer_(file_.tokenizer()) {}
  std::string name() const override { return file_.path(); }
  std::string summary() const override {
    return join(format_count(file_.tokens(Split::train)->size()), " tokens to train on, ",
                format_count(file_.tokens(Split::valid)->size()), " to validate on, vocabulary ",
                file_.vocab_size());
  }
  std::string sha256() const override { return file_.sha256(); }
  std::shared_ptr<const Tokenizer> tokenizer() const override { return tokenizer_; }
  std::unique_ptr<BatchSource> batches(const BatchOptions& options) const override {
    return std::make_unique<Loader>(file_.tokens(Split::train), options);
  }
  double validation_loss(const LanguageModel& model, int64_t seq_len, int64_t batch_size,
                         int64_t tokens) const override {
    const auto valid = file_.tokens(Split::valid);
    const int64_t count = tokens > 0 ? std::min(valid->size(), tokens + 1) : valid->size();
    if (count < 2) return LogRow::unknown;
    const TokenMean nll = mean_nll(model, *valid, count, {.seq_len = seq_len, .batch_size = batch_size},
                                   [](const TokenMean&) { return !stop_requested(); });
    return nll.tokens() == count - 1 ? nll.mean() : LogRow::unknown;
  }

 private:
  TokenFile file_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace

std::unique_ptr<TrainingData> open_training_data(const Config& config) {
  const auto options = config.get(data_options());
  check(options.tokens.empty() || options.task.empty(), Exit::usage,
        "data.tokens and data.task exclude each other");
  if (!options.task.empty()) return make_task_data(config);
  check(!options.tokens.empty(), Exit::usage,
        "data.tokens is not given: name a token file that `tapestry prepare` made, or a data.task");
  return std::make_unique<TextData>(options.tokens);
}

}  // namespace tapestry
