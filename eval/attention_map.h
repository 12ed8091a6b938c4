#pragma once

#include <vector>

#include "layers/language_model.h"

namespace tapestry {

/// How much each token of a sequence reads of each earlier one in one head: token t mixes the values of
/// tokens i with weights [T, T], row t, column i, 0 for i > t. A softmax's weights sum to 1; those of what
/// bsbr reads of states may be negative and are those of the tokens that the states were made of.
struct AttentionMap {
  int64_t tokens = 0;
  std::vector<double> weights;

  double at(int64_t t, int64_t i) const { return weights[t * tokens + i]; }
  /// Share of the pairs i <= t whose weight is larger than `threshold` in size.
  double density(double threshold) const;
};

/// Computed in float64 straight from the formulas (ATTENTION sections 1, 2, 3, 7.1, 7.6 and 7.7), T x T, from
/// the layer's parameters and `x`, the residual stream before its block, [1, T, C]. An attention whose output
/// is no weighted sum of values (delta_net, hopfield, gau, states that are compressed or normed) is an
/// Error(usage).
AttentionMap attention_map(const LanguageModel& model, const Config& config, const Tensor& x, int64_t layer,
                           int64_t head);

}  // namespace tapestry
