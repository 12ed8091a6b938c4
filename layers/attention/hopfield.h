#pragma once

#include <optional>

#include "layers/attention/projected_attention.h"
#include "layers/layer_norm.h"

namespace tapestry {

struct HopfieldOptions {
  int64_t steps = 1;
  bool beta_learn = true;
  double beta = 0;
  bool norm_input = true;
  bool norm_hopfield = false;
  double ln_eps = 1e-5;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<HopfieldOptions>& hopfield_options();

/// Modern Hopfield layer (ATTENTION section 5, Ramsauer et al. 2020): each token's state pattern (its query)
/// moves towards the stored patterns (keys) up to it in `steps` - 1 updates before it reads the values.
class Hopfield : public ProjectedAttention {
 public:
  Hopfield(Module& parent, const AttentionDims& dims, const HopfieldOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  /// Projections and norms of x, before positions.
  struct Patterns {
    Tensor state, stored, projected;
  };
  Patterns patterns(const Tensor& x) const;
  /// What the layer reads for each token: its state pattern is a query `steps` times, of the projected
  /// patterns the last time and of the stored ones before. `look_up(query, last)` is one attention with
  /// `scale`.
  Tensor associate(Tensor state, const std::function<Tensor(const Tensor& query, bool last)>& look_up) const;
  double scale() const { return beta_.defined() ? 1 : scale_or_default(options_.beta); }

  HopfieldOptions options_;
  std::optional<LayerNorm> norm_state_, norm_stored_, norm_projected_;  // [C], before the projections
  std::optional<LayerNorm> norm_hopfield_;  // [d], after them: shared by all heads and by q and k
  Parameter beta_;                          // [H]
};

AttentionKind hopfield_kind();

}  // namespace tapestry
