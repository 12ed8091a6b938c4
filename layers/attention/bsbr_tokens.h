#pragma once

#include <optional>

#include "autograd/ops/block_retrieval.h"
#include "layers/attention/bsbr_options.h"
#include "layers/attention/projected_attention.h"

namespace tapestry {

/// BSBR whose tokens read, beside local tokens, those of the blocks that they pick: ATTENTION section 7.6 and
/// docs/bsbr-tokens.md.
class BsbrTokens : public ProjectedAttention {
 public:
  BsbrTokens(Module& parent, const AttentionDims& dims, const BsbrOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  BlockRetrieval retrieval() const;
  /// Whether what is retrieved is scored as if it were just out of local reach, wherever it is.
  bool retrieves_at_edge() const { return dims_.rotary && options_.retrieved_positions == "edge"; }
  /// Projected queries [B, T, C], turned by the edge against keys that are not turned.
  Tensor at_edge(const Tensor& q) const;
  /// What blocks are found by, means of k or of x through h: [B, floor((T - 1) / block), C].
  Tensor block_keys(const Tensor& x, const Tensor& k) const;
  /// For the next tokens of one sequence, x and its projections [1, T, C]: adds those of blocks that end.
  void add_block_keys(const Tensor& x, const Tensor& k, AttentionState& state) const;

  BsbrOptions options_;
  std::optional<Linear> r_, h_;  // where blocks have keys of their own
  Parameter score_gain_;
};

}  // namespace tapestry
