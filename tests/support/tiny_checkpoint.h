#pragma once

#include <string>

#include "data/byte_tokenizer.h"
#include "optim/optim_options.h"
#include "train/checkpoint.h"
#include "train/model_config.h"

namespace tapestry::test {

inline std::string tiny_config(int64_t n_embd, const std::string& more = "") {
  return join("[model]\nattention = standard\nn_layer = 1\nn_head = 2\nn_embd = ", n_embd,
              "\nvocab_size = 256\nn_ctx = 16\n", more, "[data]\nseq_len = 16\n");
}

/// A checkpoint of an untrained model that says that it has made `step` steps. A width of 8 makes 60 KB, one
/// of 256 makes 10 MB. `more`: lines for the [model] section of its config.
class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(int64_t n_embd = 8, bool with_optimizer = true, const std::string& more = "")
      : text_(tiny_config(n_embd, more)),
        config_(read(text_)),
        model_(config_.get(model_options()), config_) {
    if (with_optimizer) optimizer_ = make_optimizer(config_.get(optim_options()), model_.parameters());
  }

  void save(const std::string& path, int64_t step, FileCalls calls = FileCalls::system(),
            int64_t memory_limit = VerifiedWriter::kMemoryLimit) {
    if (optimizer_) optimizer_->set_steps(step);
    const TrainingState state{.step = step, .tokens = 16 * step, .history = {{.step = 0}, {.step = step}}};
    save_checkpoint(path, {model_, ByteTokenizer(), text_, optimizer_.get(), state}, std::move(calls),
                    memory_limit);
  }
  LanguageModel& model() { return model_; }

 private:
  static Config read(const std::string& text) {
    Config config;
    read_config_text(text, "config", run_sections(), config);
    return config;
  }

  std::string text_;
  Config config_;
  LanguageModel model_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace tapestry::test
