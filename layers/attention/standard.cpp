#include "layers/attention/standard.h"

#include "layers/attention/factory.h"

namespace tapestry {

const OptionTable<StandardOptions>& standard_options() {
  static const auto table =
      OptionTable<StandardOptions>("standard", "Softmax attention over all of the past")
          .add("scale", &StandardOptions::scale, "factor of the scores; 0: 1 / sqrt(head width)", at_least(0))
          .per_layer();
  return table;
}

CoreCost StandardOptions::cost(const CoreShape& shape) const { return full_softmax_cost(shape); }

StandardAttention::StandardAttention(Module& parent, const AttentionDims& dims,
                                     const StandardOptions& options)
    : ProjectedAttention(parent, dims), options_(options) {}

Tensor StandardAttention::operator()(const Tensor& x) const { return softmax(x, options_.scale, {}); }

AttentionState StandardAttention::begin_state() const { return key_value_state({}); }

Tensor StandardAttention::extend(const Tensor& x, States states) const {
  return extend_softmax(x, options_.scale, {}, states);
}

AttentionKind standard_kind() { return kind_from<StandardAttention>(standard_options()); }

}  // namespace tapestry
