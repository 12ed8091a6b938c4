#include "layers/attention/linear_attention.h"

#include "autograd/ops/linear_attention.h"
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

AttentionKind linear_attention_kind() { return kind_from<LinearAttentionLayer>(linear_attention_options()); }

}  // namespace tapestry
