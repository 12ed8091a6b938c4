#include "layers/layer_norm.h"

#include "autograd/ops/layer_norm.h"

namespace tapestry {

LayerNorm::LayerNorm(Module& parent, const std::string& name, int64_t width, bool bias, double eps)
    : Module(parent, name), eps_(eps) {
  weight_ = add_parameter("weight", {width}, Init::ones());
  if (bias) bias_ = add_parameter("bias", {width}, Init::zeros());
}

Tensor LayerNorm::operator()(const Tensor& x) const { return layer_norm(x, weight_, bias_, eps_); }

}  // namespace tapestry
