#include "layers/attention/projected_attention.h"

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

Tensor ProjectedAttention::positioned(const Tensor& x) const {
  return dims_.rotary ? rotary(x, dims_.n_head) : x;
}

Tensor ProjectedAttention::softmax(const Tensor& x, double scale, Visible visible) const {
  const Tensor q = positioned(q_(x)), k = positioned(k_(x));
  return out_(softmax_attention(q, k, v_(x), n_head(), scale_or_default(scale), visible));
}

}  // namespace tapestry
