#include "layers/attention/projected_attention.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/rotary.h"

namespace tapestry {
namespace {

const AttentionDims& checked(const AttentionDims& dims) {
  check(dims.n_head > 0 && dims.n_embd > 0 && dims.n_embd % dims.n_head == 0, Exit::usage,
        "n_head = ", dims.n_head, " does not divide n_embd = ", dims.n_embd,
        ": choose a width that is a multiple of the heads");
  return dims;
}

}  // namespace

ProjectedAttention::ProjectedAttention(Module& parent, const AttentionDims& dims)
    : Attention(parent, "attention"),
      dims_(checked(dims)),
      q_(*this, "q", dims.n_embd, dims.n_embd, {dims.bias, dims.init_std}),
      k_(*this, "k", dims.n_embd, dims.n_embd, {dims.bias, dims.init_std}),
      v_(*this, "v", dims.n_embd, dims.n_embd, {dims.bias, dims.init_std}),
      out_(*this, "out", dims.n_embd, dims.n_embd, {dims.bias, dims.out_init_std}) {}

double ProjectedAttention::scale_or_default(double scale) const {
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(head_width()));
}

Tensor ProjectedAttention::positioned(const Tensor& x, int64_t first_position) const {
  return dims_.rotary ? rotary(x, dims_.n_head, first_position) : x;
}

Tensor ProjectedAttention::softmax(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                                   Visible visible) const {
  return softmax_attention(positioned(q), positioned(k), v, n_head(), scale_or_default(scale), visible);
}

Tensor ProjectedAttention::softmax(const Tensor& x, double scale, Visible visible) const {
  const Tensor q = q_(x), k = k_(x), v = v_(x);  // in this order, which that of their gradients follows
  return out_(softmax(q, k, v, scale, visible));
}

AttentionState ProjectedAttention::key_value_state(Visible visible) const {
  const Keep keep = [visible](int64_t position) {
    const int64_t pinned = std::min(visible.sink, position);
    return KeptRows{pinned, std::max(visible.first(position), pinned), position};
  };
  AttentionState state(context());
  state.add("k", dims_.n_embd, keep);
  state.add("v", dims_.n_embd, keep);
  return state;
}

Tensor ProjectedAttention::extend_softmax(const Tensor& x, double scale, Visible visible,
                                          States states) const {
  return out_(extend_sequences({q_(x), k_(x), v_(x)}, states, all_at_once,
                               [&](const std::vector<Tensor>& rows, AttentionState& state) {
                                 return attend(rows[0], rows[1], rows[2], scale_or_default(scale), visible,
                                               state);
                               }));
}

Tensor ProjectedAttention::attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                                  Visible visible, AttentionState& state) const {
  const int64_t past = state.position();
  StateRows &keys = state["k"], &values = state["v"];
  keys.append(positioned(k, past));
  values.append(v);
  return continue_softmax_attention(positioned(q, past), {keys.data(), values.data(), past, keys.gap()},
                                    n_head(), scale, visible);
}

}  // namespace tapestry
