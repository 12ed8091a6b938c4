#pragma once

#include "layers/attention/projected_attention.h"

namespace tapestry {

struct SlidingWindowOptions {
  int64_t window = 256;
  int64_t sink = 0;
  double scale = 0;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<SlidingWindowOptions>& sliding_window_options();

/// Softmax attention over the last `window` tokens, the current one included, and the first `sink` (ATTENTION
/// section 2).
class SlidingWindowAttention : public ProjectedAttention {
 public:
  SlidingWindowAttention(Module& parent, const AttentionDims& dims, const SlidingWindowOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  Visible visible() const;

  SlidingWindowOptions options_;
};

AttentionKind sliding_window_kind();

}  // namespace tapestry
