#include "layers/attention/hopfield.h"

#include "autograd/ops/scale_heads.h"
#include "layers/attention/factory.h"

namespace tapestry {
namespace {

Tensor normalised(const std::optional<LayerNorm>& norm, const Tensor& x) { return norm ? (*norm)(x) : x; }

}  // namespace

const OptionTable<HopfieldOptions>& hopfield_options() {
  static const auto table =
      OptionTable<HopfieldOptions>("hopfield", "Hopfield network: softmax attention whose query is iterated")
          .add("steps", &HopfieldOptions::steps, "softmax associations; 1 is a single look-up", at_least(1))
          .add("beta_learn", &HopfieldOptions::beta_learn, "learn beta, one a head")
          .add("beta", &HopfieldOptions::beta,
               "inverse temperature, or where it starts; 0: 1 / sqrt(head width)", at_least(0))
          .add("norm_input", &HopfieldOptions::norm_input,
               "layer norms of their own before the projections q, k and v")
          .add("norm_hopfield", &HopfieldOptions::norm_hopfield,
               "one layer norm over each head of q and k, after the projections")
          .add("ln_eps", &HopfieldOptions::ln_eps, "epsilon of the layer norms", above(0))
          .per_layer();
  return table;
}

CoreCost HopfieldOptions::cost(const CoreShape& shape) const {
  CoreCost cost = full_softmax_cost(shape);
  cost.flops *= static_cast<double>(steps);
  return cost;
}

Hopfield::Hopfield(Module& parent, const AttentionDims& dims, const HopfieldOptions& options)
    : ProjectedAttention(parent, dims), options_(options) {
  const auto add_norm = [&](std::optional<LayerNorm>& norm, const char* name, int64_t width) {
    norm.emplace(*this, name, width, true, options.ln_eps);
  };
  if (options.norm_input) {
    add_norm(norm_state_, "norm_state", dims.n_embd);
    add_norm(norm_stored_, "norm_stored", dims.n_embd);
    add_norm(norm_projected_, "norm_projected", dims.n_embd);
  }
  if (options.norm_hopfield) add_norm(norm_hopfield_, "norm_hopfield", head_width());
  if (options.beta_learn)
    beta_ = add_parameter("beta", {n_head()}, Init::constant(scale_or_default(options.beta)));
}

Hopfield::Patterns Hopfield::patterns(const Tensor& x) const {
  return {normalised(norm_hopfield_, q_(normalised(norm_state_, x))),
          normalised(norm_hopfield_, k_(normalised(norm_stored_, x))), v_(normalised(norm_projected_, x))};
}

Tensor Hopfield::operator()(const Tensor& x) const {
  const Patterns p = patterns(x);
  const Tensor stored = positioned(p.stored);
  return out_(associate(positioned(p.state), [&](const Tensor& query, bool last) {
    return softmax_attention(query, stored, last ? p.projected : stored, n_head(), scale());
  }));
}

Tensor Hopfield::associate(Tensor state,
                           const std::function<Tensor(const Tensor& query, bool last)>& look_up) const {
  for (int64_t step = 1; step <= options_.steps; ++step)
    state = look_up(beta_.defined() ? scale_heads(state, beta_) : state, step == options_.steps);
  return state;
}

AttentionState Hopfield::begin_state() const { return key_value_state({}); }

Tensor Hopfield::extend(const Tensor& x, States states) const {
  const Patterns p = patterns(x);
  const auto core = [&](const std::vector<Tensor>& rows, AttentionState& state) {
    const int64_t past = state.position();
    StateRows &stored = state["k"], &projected = state["v"];
    stored.append(positioned(rows[1], past));
    projected.append(rows[2]);
    return associate(positioned(rows[0], past), [&](const Tensor& query, bool last) {
      const Tensor& read = last ? projected.data() : stored.data();
      return continue_softmax_attention(query, {stored.data(), read, past, 0}, n_head(), scale(), {});
    });
  };
  return out_(extend_sequences({p.state, p.stored, p.projected}, states, all_at_once, core));
}

AttentionKind hopfield_kind() { return kind_from<Hopfield>(hopfield_options()); }

}  // namespace tapestry
