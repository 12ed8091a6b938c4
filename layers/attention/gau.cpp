#include "layers/attention/gau.h"

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/chunk_states.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/cumsum.h"
#include "autograd/ops/read_states.h"
#include "autograd/ops/relu2_attention.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/unary.h"
#include "autograd/tape.h"
#include "layers/attention/factory.h"

namespace tapestry {
namespace {

/// The options with what their zeros stand for.
GauOptions resolved(const AttentionDims& dims, GauOptions options) {
  check(!dims.rotary || options.s % 2 == 0, Exit::usage, "gau.s = ", options.s,
        " is odd, but rotary positions turn pairs of channels: choose an even width");
  if (options.e == 0) options.e = 2 * dims.n_embd;
  // Not the 1 / chunk of FLASH: with projections that start at a deviation of 0.02 its squares would switch
  // the quadratic part off for most of training.
  if (options.quad_scale == 0) options.quad_scale = 1 / std::sqrt(static_cast<double>(options.s));
  if (options.lin_scale == 0) options.lin_scale = 1 / static_cast<double>(options.chunk);
  return options;
}

}  // namespace

const OptionTable<GauOptions>& gau_options() {
  static const auto table =
      OptionTable<GauOptions>("gau", "Gated attention unit: squared scores in chunks, linear across them")
          .add("chunk", &GauOptions::chunk, "tokens a chunk", at_least(1))
          .add("e", &GauOptions::e, "width of values and gate; 0: 2 n_embd", at_least(0))
          .add("s", &GauOptions::s, "width of queries and keys", at_least(1))
          .add("quad_scale", &GauOptions::quad_scale, "factor of the scores within a chunk; 0: 1 / sqrt(s)",
               at_least(0))
          .add("lin_scale", &GauOptions::lin_scale, "factor of the scores across chunks; 0: 1 / chunk",
               at_least(0))
          .add("rel_bias", &GauOptions::rel_bias, "a learned bias of the scores by distance within a chunk")
          .per_layer();
  return table;
}

CoreCost GauOptions::cost(const CoreShape& shape) const {
  const auto T = static_cast<double>(shape.tokens), width = static_cast<double>(s);
  const double values = e > 0 ? static_cast<double>(e) : 2 * static_cast<double>(shape.n_embd);
  const auto in_chunk = static_cast<double>(std::min(chunk, shape.tokens));
  return {T * (in_chunk * (width + values) + 4 * width * values), std::nullopt};
}

Gau::Gau(Module& parent, const AttentionDims& dims, const GauOptions& options)
    : Attention(parent, "attention"),
      options_(resolved(dims, options)),
      rotary_(dims.rotary),
      u_(*this, "u", dims.n_embd, options_.e, {dims.bias, dims.init_std}),
      v_(*this, "v", dims.n_embd, options_.e, {dims.bias, dims.init_std}),
      z_(*this, "z", dims.n_embd, options_.s, {dims.bias, dims.init_std}),
      out_(*this, "out", options_.e, dims.n_embd, {dims.bias, dims.out_init_std}),
      quad_q_(add_view("qq")),
      quad_k_(add_view("kq")),
      lin_q_(add_view("ql")),
      lin_k_(add_view("kl")) {
  if (options_.rel_bias) rel_bias_ = add_parameter("rel_bias", {options_.chunk}, Init::zeros());
}

Gau::View Gau::add_view(const std::string& name) {
  return {add_parameter("gamma_" + name, {options_.s}, Init::ones()),
          add_parameter("offset_" + name, {options_.s}, Init::zeros())};
}

Tensor Gau::see(const View& view, const Tensor& z, int64_t first_position) const {
  const Tensor y = add(mul(z, view.gamma), view.offset);
  return rotary_ ? rotary(y, 1, first_position) : y;
}

Tensor Gau::operator()(const Tensor& x) const {
  const Tensor u = silu(u_(x)), v = silu(v_(x)), z = silu(z_(x));
  return out_(mul(u, read(z, v)));
}

Tensor Gau::read(const Tensor& z, const Tensor& v) const {
  const int64_t c = options_.chunk;
  const Tensor near = relu2_attention(see(quad_q_, z), see(quad_k_, z), v, rel_bias_, c, options_.quad_scale);
  if (finished_chunks(z.dim(1), c) == 0) return near;
  const Tensor states = cumsum(chunk_states(see(lin_k_, z), v, 1, c, options_.lin_scale), 2);
  return add(near, read_states(see(lin_q_, z), states, c));
}

AttentionState Gau::begin_state() const {
  AttentionState state(context());
  state.add("k", options_.s, keep_unfinished(options_.chunk));
  state.add("v", options_.e, keep_unfinished(options_.chunk));
  state.add("state", options_.s * options_.e, keep_one);    // of finished chunks
  state.add("running", options_.s * options_.e, keep_one);  // of the unfinished one
  return state;
}

Tensor Gau::extend(const Tensor& x, States states) const {
  const Tensor u = silu(u_(x)), v = silu(v_(x)), z = silu(z_(x));
  const auto core = [&](const std::vector<Tensor>& rows, AttentionState& state) {
    return continued(rows[0], rows[1], state);
  };
  return out_(mul(u, extend_sequences({z, v}, states, within_chunk(options_.chunk), core)));
}

Tensor Gau::continued(const Tensor& z, const Tensor& v, AttentionState& state) const {
  const int64_t position = state.position(), past = position % options_.chunk;
  StateRows &k = state["k"], &values = state["v"];
  k.append(see(quad_k_, z, position));
  values.append(v);
  Tensor y = continue_relu2_attention(see(quad_q_, z, position),
                                      {k.data(), values.data(), k.kept().begin - k.gap(), past}, rel_bias_,
                                      options_.quad_scale);
  const Shape matrix{1, options_.s, options_.e};
  Tensor finished = state["state"].data().reshape(matrix), running = state["running"].data().reshape(matrix);
  if (position >= options_.chunk) add_state_read(see(lin_q_, z, position), finished, 1, y);
  add_to_state(see(lin_k_, z, position), v, options_.lin_scale, running);
  if (past + z.dim(1) == options_.chunk) {
    add_in_place(finished, running);
    running.fill(0);
  }
  return y;
}

AttentionKind gau_kind() { return kind_from<Gau>(gau_options()); }

}  // namespace tapestry
