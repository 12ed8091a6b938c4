#pragma once

#include "layers/attention/projected_attention.h"

namespace tapestry {

struct StandardOptions {
  double scale = 0;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<StandardOptions>& standard_options();

/// Softmax attention over all of the past (ATTENTION section 1).
class StandardAttention : public ProjectedAttention {
 public:
  StandardAttention(Module& parent, const AttentionDims& dims, const StandardOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  StandardOptions options_;
};

AttentionKind standard_kind();

}  // namespace tapestry
