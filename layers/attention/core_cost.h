#pragma once

#include <cstdint>
#include <optional>

namespace tapestry {

/// The sequence and the model that an attention's core works on.
struct CoreShape {
  int64_t tokens, n_embd, n_head;
};

/// What the core, all but the projections, costs on one sequence.
struct CoreCost {
  /// Forward, two for every multiplication and addition (ATTENTION section 9).
  double flops;
  /// Share of the causal pairs of query and key that it scores; none if it does not score single keys.
  std::optional<double> keys_read_share;
};

/// The cost of softmax attention over all of the past.
inline CoreCost full_softmax_cost(const CoreShape& shape) {
  const auto T = static_cast<double>(shape.tokens);
  return {2 * static_cast<double>(shape.n_embd) * T * (T + 1), 1};
}

}  // namespace tapestry
