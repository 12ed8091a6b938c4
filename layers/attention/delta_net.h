#pragma once

#include "layers/attention/projected_attention.h"

namespace tapestry {

struct DeltaNetOptions {
  int64_t chunk = 64;
  std::string qk_act = "silu";
  std::string v_act = "silu";
  int64_t conv = 4;
  std::string out_norm = "rms";
  double norm_eps = 1e-5;
  double eps = 1e-6;
  bool neg_eigval = false;
  double scale = 0;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<DeltaNetOptions>& delta_net_options();

/// DeltaNet (ATTENTION section 4): a state of fixed size that the delta rule corrects. It has no biases,
/// whatever its model says, and takes order from the state and the convolutions: rotary positions are not
/// applied.
class DeltaNet : public ProjectedAttention {
 public:
  DeltaNet(Module& parent, const AttentionDims& dims, const DeltaNetOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  /// What each of q, k and v goes through after its projection and convolution.
  Tensor queries_or_keys(const Tensor& x) const;
  Tensor values(const Tensor& x) const;
  Tensor rates(const Tensor& x) const;  // beta, [B, T, H]
  Tensor normed_out(const Tensor& o) const;
  /// The next tokens of one sequence: projections q, k, v [1, T, C] and beta [1, T, H] -> [1, T, C].
  Tensor continued(const std::vector<Tensor>& rows, AttentionState& state) const;

  DeltaNetOptions options_;
  Linear beta_;
  Parameter conv_q_, conv_k_, conv_v_, norm_;
};

AttentionKind delta_net_kind();

}  // namespace tapestry
