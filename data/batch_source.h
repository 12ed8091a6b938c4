#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace tapestry {

/// A target that is not scored.
constexpr int32_t kUnscored = -1;

/// Inputs and what should follow them, both [batch_size, seq_len] in row-major order.
struct Batch {
  std::vector<int32_t> tokens, targets;
  int64_t batch_size = 0, seq_len = 0;

  /// Targets that count in the loss.
  int64_t scored() const {
    return std::count_if(targets.begin(), targets.end(), [](int32_t target) { return target >= 0; });
  }
};

/// Which batches: their size, and the seed that they are a function of.
struct BatchOptions {
  int64_t seq_len = 1024;
  int64_t batch_size = 1;
  int64_t grad_accum = 1;  // micro-batches a step
  int64_t seed = 0;
};

/// Training batches as a pure function of (seed, step, micro-batch): resuming needs the step alone.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// 0 <= micro < grad_accum. Every sequence has a scored target.
  virtual Batch batch(int64_t step, int64_t micro) const = 0;
  /// Tokens that go through the model in a step, scored or not.
  virtual int64_t tokens_per_step() const = 0;
  /// How far the data is used up before `step`, for people: "epoch 1.234".
  virtual std::string progress(int64_t step) const = 0;
};

}  // namespace tapestry
