#include "layers/mlp.h"

#include "autograd/ops/unary.h"

namespace tapestry {

Mlp::Mlp(Module& parent, const std::string& name, int64_t width, int64_t inner, MlpOptions options)
    : Module(parent, name),
      up_(*this, "up", width, inner, {options.bias, options.init_std}),
      down_(*this, "down", inner, width, {options.bias, options.out_init_std}),
      exact_gelu_(options.exact_gelu) {}

Tensor Mlp::operator()(const Tensor& x) const {
  const Tensor hidden = up_(x);
  return down_(exact_gelu_ ? gelu_exact(hidden) : gelu(hidden));
}

}  // namespace tapestry
