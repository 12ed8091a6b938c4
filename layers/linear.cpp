#include "layers/linear.h"

#include "autograd/ops/linear.h"

namespace tapestry {

Linear::Linear(Module& parent, const std::string& name, int64_t in, int64_t out, LinearOptions options)
    : Module(parent, name) {
  weight_ = add_parameter("weight", {in, out}, Init::normal(options.init_std));
  if (options.bias) bias_ = add_parameter("bias", {out}, Init::zeros());
}

Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight_, bias_); }

}  // namespace tapestry
