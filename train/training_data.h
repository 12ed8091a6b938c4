#pragma once

#include <memory>
#include <string>

#include "base/options.h"
#include "data/batch_source.h"
#include "data/tokenizer.h"
#include "layers/language_model.h"

namespace tapestry {

/// What a run learns from and is validated on.
class TrainingData {
 public:
  virtual ~TrainingData() = default;
  /// What error messages call it, "'a.h5'".
  virtual std::string name() const = 0;
  /// What there is of it, for people.
  virtual std::string summary() const = 0;
  /// Names exactly this data.
  virtual std::string sha256() const = 0;
  virtual std::shared_ptr<const Tokenizer> tokenizer() const = 0;
  virtual std::unique_ptr<BatchSource> batches(const BatchOptions& options) const = 0;
  /// Mean NLL of the scored targets that training does not see, in sequences of `seq_len`, `batch_size` at a
  /// time; with `tokens` above 0 only the first so many go through the model. NaN if there are none, or when
  /// a signal cuts it short.
  virtual double validation_loss(const LanguageModel& model, int64_t seq_len, int64_t batch_size,
                                 int64_t tokens) const = 0;
};

/// The token file data.tokens, or data.task.
std::unique_ptr<TrainingData> open_training_data(const Config& config);

}  // namespace tapestry
