#pragma once

#include "layers/attention/attention.h"
#include "layers/linear.h"

namespace tapestry {

struct GauOptions {
  int64_t chunk = 128;
  int64_t e = 0;
  int64_t s = 128;
  double quad_scale = 0;
  double lin_scale = 0;
  bool rel_bias = true;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<GauOptions>& gau_options();

/// Gated attention unit with mixed chunk attention, as in FLASH (ATTENTION section 6, Hua et al. 2022):
/// squared positive scores within a chunk, linear attention to earlier chunks, and a gate on what they read.
/// It has one head, whatever the model's n_head.
class Gau : public Attention {
 public:
  Gau(Module& parent, const AttentionDims& dims, const GauOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  /// What makes one of the four queries and keys of z: "gamma_<name>" and "offset_<name>", [s].
  struct View {
    Parameter gamma, offset;
  };
  View add_view(const std::string& name);
  /// gamma z + offset by channel, rotated by its position if so asked: [B, T, s] -> [B, T, s].
  Tensor see(const View& view, const Tensor& z, int64_t first_position = 0) const;
  /// What every token reads from its chunk and from earlier ones: z [B, T, s], v [B, T, e] -> [B, T, e].
  Tensor read(const Tensor& z, const Tensor& v) const;
  /// The same for the next tokens of one sequence, which are of one chunk.
  Tensor continued(const Tensor& z, const Tensor& v, AttentionState& state) const;

  GauOptions options_;
  bool rotary_;
  Linear u_, v_, z_, out_;
  View quad_q_, quad_k_, lin_q_, lin_k_;
  Parameter rel_bias_;
};

AttentionKind gau_kind();

}  // namespace tapestry
