#pragma once

#include "autograd/ops/softmax_attention.h"
#include "layers/attention/attention.h"
#include "layers/linear.h"

namespace tapestry {

/// What most attentions share: projections "q", "k", "v" and "out", [C, C] each, split into heads of
/// C / n_head channels. A layer is its parent's child "attention".
class ProjectedAttention : public Attention {
 public:
  /// An Error(usage) unless n_head divides n_embd.
  ProjectedAttention(Module& parent, const AttentionDims& dims);

 protected:
  int64_t n_head() const { return dims_.n_head; }
  int64_t head_width() const { return dims_.n_embd / dims_.n_head; }
  /// `scale`, or the usual head_width^-1/2 where it is 0.
  double scale_or_default(double scale) const;
  /// Queries or keys of token scores: as they are, or rotated by their positions, [B, T, C].
  Tensor positioned(const Tensor& x, int64_t first_position = 0) const;
  /// Softmax attention of projected q, k, v [B, T, C] over the visible keys, `scale` as in scale_or_default.
  Tensor softmax(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Visible visible) const;
  /// Projections, softmax attention over the visible keys, output projection: [B, T, C] -> [B, T, C].
  Tensor softmax(const Tensor& x, double scale, Visible visible) const;

  /// A state with the keys and values, "k" and "v", that later tokens see.
  AttentionState key_value_state(Visible visible) const;
  /// softmax(x) for the next tokens; `scale` as in scale_or_default.
  Tensor extend_softmax(const Tensor& x, double scale, Visible visible, States states) const;
  /// Adds the keys and values of the next tokens of one sequence, q, k, v [1, T, C], to its state, and reads
  /// those visible -> [1, T, C].
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Visible visible,
                AttentionState& state) const;

  AttentionDims dims_;
  Linear q_, k_, v_, out_;
};

}  // namespace tapestry
