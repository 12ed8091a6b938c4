#pragma once

#include "layers/attention/projected_attention.h"

namespace tapestry {

struct LinearAttentionOptions {
  int64_t chunk = 64;
  std::string feature_map = "elu1";
  bool normalise = true;
  double eps = 1e-6;
  double scale = 0;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<LinearAttentionOptions>& linear_attention_options();

/// Linear attention (ATTENTION section 3): a state of fixed size in place of the past. Rotary positions are
/// not applied: a rotation would make the positive features of elu1 negative.
class LinearAttentionLayer : public ProjectedAttention {
 public:
  LinearAttentionLayer(Module& parent, const AttentionDims& dims, const LinearAttentionOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  Tensor features(const Tensor& x) const;
  /// The next tokens of one sequence, q and k after their feature map: [1, T, C].
  Tensor continued(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const;

  LinearAttentionOptions options_;
};

AttentionKind linear_attention_kind();

}  // namespace tapestry
