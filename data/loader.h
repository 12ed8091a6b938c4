#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/batch_source.h"
#include "data/token_source.h"

namespace tapestry {

/// Windows of a text in random order.
///
/// An epoch cuts the tokens into disjoint windows of seq_len inputs with their shifted targets, so no token
/// is a target twice in an epoch. The n - 1 targets need not be a multiple of seq_len; the up to seq_len - 1
/// that are left over rest for an epoch, some before the first window and some after the last, as many as the
/// epoch's random offset says. So no token is left out for good. The order of windows is a new permutation
/// each epoch. A batch may hold the end of one epoch and the start of the next.
class Loader : public BatchSource {
 public:
  /// Too few tokens for one window is an Error(Exit::input).
  Loader(std::shared_ptr<const TokenSource> tokens, const BatchOptions& options);

  Batch batch(int64_t step, int64_t micro = 0) const override;

  int64_t windows_per_epoch() const { return windows_; }
  int64_t tokens_per_step() const override { return windows_per_step() * options_.seq_len; }
  std::string progress(int64_t step) const override;
  /// Targets of the steps before `step`.
  /// Epochs done before `step`; the whole part is the epoch that its first window is of.
  double epoch(int64_t step) const;
  /// The first input of window number `window` since the start of training.
  int64_t window_start(int64_t window) const;

 private:
  int64_t windows_per_step() const { return options_.batch_size * options_.grad_accum; }

  std::shared_ptr<const TokenSource> tokens_;
  BatchOptions options_;
  int64_t windows_, left_over_;
};

}  // namespace tapestry
