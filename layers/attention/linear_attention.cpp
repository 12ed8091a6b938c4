#include "layers/attention/linear_attention.h"

#include "autograd/ops/divide_heads.h"
#include "autograd/ops/linear_attention.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/unary.h"
#include "layers/attention/factory.h"

namespace tapestry {

const OptionTable<LinearAttentionOptions>& linear_attention_options() {
  using Options = LinearAttentionOptions;
  static const auto table =
      OptionTable<Options>("linear", "Linear attention: a state of fixed size in place of the past")
          .add("chunk", &Options::chunk, "tokens computed at a time; the result does not depend on it",
               between(1, 1024))
          .add("feature_map", &Options::feature_map, "of queries and keys", one_of({"elu1", "identity"}))
          .add("normalise", &Options::normalise, "divide by the sum of the weights; needs elu1")
          .add("eps", &Options::eps, "added to that sum", at_least(0))
          .add("scale", &Options::scale, "factor of the output without normalise; 0: 1 / sqrt(head width)",
               at_least(0))
          .per_layer();
  return table;
}

CoreCost LinearAttentionOptions::cost(const CoreShape& shape) const {
  const auto T = static_cast<double>(shape.tokens), C = static_cast<double>(shape.n_embd);
  const double d = C / static_cast<double>(shape.n_head);
  return {T * C * (4 * d + 2 * static_cast<double>(std::min(chunk, shape.tokens))), std::nullopt};
}

LinearAttentionLayer::LinearAttentionLayer(Module& parent, const AttentionDims& dims,
                                           const LinearAttentionOptions& options)
    : ProjectedAttention(parent, dims), options_(options) {
  check(!options.normalise || options.feature_map == "elu1", Exit::usage,
        "[linear] normalise divides by a sum that feature_map = ", options.feature_map,
        " does not keep positive: set feature_map = elu1 or normalise = no");
}

Tensor LinearAttentionLayer::features(const Tensor& x) const {
  return options_.feature_map == "elu1" ? elu1(x) : x;
}

Tensor LinearAttentionLayer::operator()(const Tensor& x) const {
  const Tensor q = features(q_(x)), k = features(k_(x));
  return out_(linear_attention(q, k, v_(x),
                               {.n_head = n_head(),
                                .chunk = options_.chunk,
                                .normalise = options_.normalise,
                                .eps = options_.eps,
                                .scale = scale_or_default(options_.scale)}));
}

AttentionState LinearAttentionLayer::begin_state() const {
  AttentionState state(context());
  state.add("state", dims_.n_embd * head_width(), keep_one);
  if (options_.normalise) state.add("sums", dims_.n_embd, keep_one);
  return state;
}

Tensor LinearAttentionLayer::extend(const Tensor& x, States states) const {
  return out_(extend_sequences({features(q_(x)), features(k_(x)), v_(x)}, states, all_at_once,
                               [&](const std::vector<Tensor>& rows, AttentionState& state) {
                                 return continued(rows[0], rows[1], rows[2], state);
                               }));
}

Tensor LinearAttentionLayer::continued(const Tensor& q, const Tensor& k, const Tensor& v,
                                       AttentionState& state) const {
  // What the new tokens read of each other, and of the state of those before.
  const auto read = [&](const Tensor& values, double scale, StateRows& part) {
    const int64_t e = values.dim(2) / n_head();
    Tensor matrix = part.data().reshape({n_head(), head_width(), e});
    Tensor y = linear_attention(
        q, k, values, {.n_head = n_head(), .chunk = options_.chunk, .normalise = false, .scale = scale});
    add_state_read(q, matrix, scale, y);
    add_to_state(k, values, 1, matrix);
    return y;
  };
  if (!options_.normalise) return read(v, scale_or_default(options_.scale), state["state"]);
  const Tensor ones = Tensor::full({1, v.dim(1), n_head()}, 1, v.dtype(), v.device());
  const Tensor y = read(v, 1, state["state"]);
  return divide_heads(y, read(ones, 1, state["sums"]), options_.eps);
}

AttentionKind linear_attention_kind() { return kind_from<LinearAttentionLayer>(linear_attention_options()); }

}  // namespace tapestry
