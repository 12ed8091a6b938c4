#include "layers/attention/delta_net.h"

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/continue_delta_rule.h"
#include "autograd/ops/delta_rule.h"
#include "autograd/ops/l2_norm.h"
#include "autograd/ops/rms_norm.h"
#include "autograd/ops/short_convolution.h"
#include "autograd/ops/take_rows.h"
#include "autograd/ops/unary.h"
#include "layers/attention/factory.h"

namespace tapestry {
namespace {

AttentionDims without_bias(AttentionDims dims) {
  dims.bias = false;
  return dims;
}

Tensor convolved(const Tensor& x, const Parameter& weight) {
  return weight.defined() ? short_convolution(x, weight) : x;
}

/// The convolution of the next tokens, x [1, T, C], with those in `tail` before them, which takes them in.
Tensor continue_convolution(const Tensor& x, const Parameter& weight, StateRows& tail) {
  const int64_t first = tail.kept().begin, past = tail.end() - first;
  tail.append(x);
  return take_rows(short_convolution(tail.rows(first, tail.end()), weight), past, 1, x.dim(1));
}

}  // namespace

const OptionTable<DeltaNetOptions>& delta_net_options() {
  using Options = DeltaNetOptions;
  static const auto table =
      OptionTable<Options>("delta_net", "DeltaNet: a state of fixed size that the delta rule corrects")
          .add("chunk", &Options::chunk, "tokens computed at a time; the result does not depend on it",
               between(1, 1024))
          .add("qk_act", &Options::qk_act, "activation of queries and keys", one_of({"silu", "none"}))
          .add("v_act", &Options::v_act, "activation of values", one_of({"silu", "none"}))
          .add("conv", &Options::conv, "tokens of the short convolutions of q, k and v; 0: none",
               between(0, 64))
          .add("out_norm", &Options::out_norm, "norm of each head's output", one_of({"rms", "none"}))
          .add("norm_eps", &Options::norm_eps, "inside the root of that norm", at_least(0))
          .add("eps", &Options::eps, "inside the root of the length of queries and keys", above(0))
          .add("neg_eigval", &Options::neg_eigval, "rates of up to 2 in place of 1")
          .add("scale", &Options::scale, "factor of the queries; 0: 1 / sqrt(head width)", at_least(0))
          .per_layer();
  return table;
}

CoreCost DeltaNetOptions::cost(const CoreShape& shape) const {
  const auto T = static_cast<double>(shape.tokens), C = static_cast<double>(shape.n_embd);
  const double d = C / static_cast<double>(shape.n_head);
  return {T * C * (6 * d + 4 * static_cast<double>(std::min(chunk, shape.tokens))), std::nullopt};
}

DeltaNet::DeltaNet(Module& parent, const AttentionDims& dims, const DeltaNetOptions& options)
    : ProjectedAttention(parent, without_bias(dims)),
      options_(options),
      beta_(*this, "beta", dims.n_embd, dims.n_head, {false, dims.init_std}) {
  if (options.conv > 0) {
    const Shape shape{dims.n_embd, options.conv};
    // The variance of the usual uniform start, 1 / (3 taps).
    const Init init = Init::normal(1 / std::sqrt(3.0 * static_cast<double>(options.conv)));
    conv_q_ = add_parameter("conv_q", shape, init);
    conv_k_ = add_parameter("conv_k", shape, init);
    conv_v_ = add_parameter("conv_v", shape, init);
  }
  if (options.out_norm == "rms") norm_ = add_parameter("norm.weight", {head_width()}, Init::ones());
}

Tensor DeltaNet::queries_or_keys(const Tensor& x) const {
  return l2_norm(options_.qk_act == "silu" ? silu(x) : x, head_width(), options_.eps);
}

Tensor DeltaNet::values(const Tensor& x) const { return options_.v_act == "silu" ? silu(x) : x; }

Tensor DeltaNet::rates(const Tensor& x) const {
  const Tensor beta = sigmoid(beta_(x));
  return options_.neg_eigval ? scale(beta, 2) : beta;
}

Tensor DeltaNet::operator()(const Tensor& x) const {
  const Tensor q = queries_or_keys(convolved(q_(x), conv_q_)), k = queries_or_keys(convolved(k_(x), conv_k_));
  const Tensor v = values(convolved(v_(x), conv_v_));
  return normed_out(
      delta_rule(q, k, v, rates(x), n_head(), options_.chunk, scale_or_default(options_.scale)));
}

Tensor DeltaNet::normed_out(const Tensor& o) const {
  return out_(norm_.defined() ? rms_norm(o, norm_, options_.norm_eps) : o);
}

AttentionState DeltaNet::begin_state() const {
  AttentionState state(context());
  state.add("state", dims_.n_embd * head_width(), keep_one);
  if (options_.conv > 0) {
    for (const char* name : {"tail_q", "tail_k", "tail_v"})
      state.add(name, dims_.n_embd, keep_last(options_.conv - 1));
  }
  return state;
}

Tensor DeltaNet::extend(const Tensor& x, States states) const {
  return normed_out(extend_sequences(
      {q_(x), k_(x), v_(x), rates(x)}, states, within_chunk(options_.chunk),
      [&](const std::vector<Tensor>& rows, AttentionState& state) { return continued(rows, state); }));
}

Tensor DeltaNet::continued(const std::vector<Tensor>& rows, AttentionState& state) const {
  const auto convolve = [&](const Tensor& x, const Parameter& weight, const char* name) {
    return weight.defined() ? continue_convolution(x, weight, state[name]) : x;
  };
  const Tensor q = queries_or_keys(convolve(rows[0], conv_q_, "tail_q"));
  const Tensor k = queries_or_keys(convolve(rows[1], conv_k_, "tail_k"));
  const Tensor v = values(convolve(rows[2], conv_v_, "tail_v"));
  Tensor matrix = state["state"].data().reshape({n_head(), head_width(), head_width()});
  return continue_delta_rule(q, k, v, rows[3], scale_or_default(options_.scale), matrix);
}

AttentionKind delta_net_kind() { return kind_from<DeltaNet>(delta_net_options()); }

}  // namespace tapestry
