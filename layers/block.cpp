#include "layers/block.h"

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/dropout.h"

namespace tapestry {
namespace {

constexpr double kInitStd = 0.02;

/// GPT-2 scales what is added to the residual stream by the number of additions.
double residual_init_std(const ModelOptions& options) { return kInitStd / std::sqrt(2.0 * options.n_layer); }

AttentionDims attention_dims(const ModelOptions& options) {
  return {.n_embd = options.n_embd,
          .n_head = options.n_head,
          .bias = options.bias,
          .rotary = options.positions == "rotary",
          .init_std = kInitStd,
          .out_init_std = residual_init_std(options)};
}

}  // namespace

Block::Block(Module& parent, const ModelOptions& options, const Config& config, int64_t layer)
    : Module(parent, join("blocks.", layer)),
      norm_1_(*this, "norm_1", options.n_embd, options.bias, options.norm_eps),
      attention_(
          attention_kind(options.attention_of(layer)).make(*this, attention_dims(options), config, layer)),
      norm_2_(*this, "norm_2", options.n_embd, options.bias, options.norm_eps),
      mlp_(*this, "mlp", options.n_embd, options.inner(),
           {options.activation == "gelu_exact", options.bias, kInitStd, residual_init_std(options)}),
      dropout_(options.dropout) {}

Tensor Block::operator()(const Tensor& x) const {
  const Tensor y = add(x, dropout((*attention_)(norm_1_(x)), dropout_));
  return add(y, dropout(mlp_(norm_2_(y)), dropout_));
}

Tensor Block::extend(const Tensor& x, States states) const {
  const Tensor y = add(x, attention_->extend(norm_1_(x), states));
  return add(y, mlp_(norm_2_(y)));
}

}  // namespace tapestry
