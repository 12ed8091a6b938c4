#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/token_source.h"

namespace tapestry {

/// Inputs and the tokens that follow them, both [batch_size, seq_len] in row-major order.
struct Batch {
  std::vector<int32_t> tokens, targets;
  int64_t batch_size = 0, seq_len = 0;
};

struct LoaderOptions {
  int64_t seq_len = 1024;
  int64_t batch_size = 1;
  int64_t grad_accum = 1;  // micro-batches a step
  int64_t seed = 0;
};

/// Training batches in random order, as a pure function of (seed, step, micro-batch): resuming needs the
/// step alone.
///
/// An epoch cuts the tokens into disjoint windows of seq_len inputs with their shifted targets, so no token
/// is a target twice in an epoch. The n - 1 targets need not be a multiple of seq_len; the up to seq_len - 1
/// that are left over rest for an epoch, some before the first window and some after the last, as many as the
/// epoch's random offset says. So no token is left out for good. The order of windows is a new permutation
/// each epoch. A batch may hold the end of one epoch and the start of the next.
class Loader {
 public:
  /// Too few tokens for one window is an Error(Exit::input).
  Loader(std::shared_ptr<const TokenSource> tokens, const LoaderOptions& options);

  /// 0 <= micro < grad_accum.
  Batch batch(int64_t step, int64_t micro = 0) const;

  int64_t windows_per_epoch() const { return windows_; }
  int64_t tokens_per_step() const { return windows_per_step() * options_.seq_len; }
  /// Targets of the steps before `step`.
  int64_t tokens_seen(int64_t step) const { return step * tokens_per_step(); }
  /// Epochs done before `step`; the whole part is the epoch that its first window is of.
  double epoch(int64_t step) const;
  /// The first input of window number `window` since the start of training.
  int64_t window_start(int64_t window) const;

 private:
  int64_t windows_per_step() const { return options_.batch_size * options_.grad_accum; }

  std::shared_ptr<const TokenSource> tokens_;
  LoaderOptions options_;
  int64_t windows_, left_over_;
};

}  // namespace tapestry
