#include "layers/attention/sliding_window.h"

#include <algorithm>

#include "layers/attention/factory.h"

namespace tapestry {

const OptionTable<SlidingWindowOptions>& sliding_window_options() {
  static const auto table =
      OptionTable<SlidingWindowOptions>("sliding_window", "Softmax attention over the last tokens")
          .add("window", &SlidingWindowOptions::window, "tokens in sight, the current one included",
               at_least(1))
          .add("sink", &SlidingWindowOptions::sink, "first tokens that stay in sight", at_least(0))
          .add("scale", &SlidingWindowOptions::scale, "factor of the scores; 0: 1 / sqrt(head width)",
               at_least(0))
          .per_layer();
  return table;
}

CoreCost SlidingWindowOptions::cost(const CoreShape& shape) const {
  const auto T = static_cast<double>(shape.tokens), C = static_cast<double>(shape.n_embd);
  const double w = std::min<double>(static_cast<double>(window), T);
  const double near = T * w - w * (w - 1) / 2;
  double read = near;
  for (int64_t t = window; t < shape.tokens; ++t) read += static_cast<double>(std::min(t + 1 - window, sink));
  return {4 * C * (near + T * std::min<double>(static_cast<double>(sink), T)), read / (T * (T + 1) / 2)};
}

SlidingWindowAttention::SlidingWindowAttention(Module& parent, const AttentionDims& dims,
                                               const SlidingWindowOptions& options)
    : ProjectedAttention(parent, dims), options_(options) {}

Visible SlidingWindowAttention::visible() const {
  return {.reach = std::min(options_.window - 1, Visible::everything), .sink = options_.sink};
}

Tensor SlidingWindowAttention::operator()(const Tensor& x) const {
  return softmax(x, options_.scale, visible());
}

AttentionState SlidingWindowAttention::begin_state() const { return key_value_state(visible()); }

Tensor SlidingWindowAttention::extend(const Tensor& x, States states) const {
  return extend_softmax(x, options_.scale, visible(), states);
}

AttentionKind sliding_window_kind() { return kind_from<SlidingWindowAttention>(sliding_window_options()); }

}  // namespace tapestry
