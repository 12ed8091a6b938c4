#include "layers/embedding.h"

#include "autograd/ops/embedding.h"

namespace tapestry {

Embedding::Embedding(Module& parent, const std::string& name, int64_t rows, int64_t width, double init_std)
    : Module(parent, name) {
  weight_ = add_parameter("weight", {rows, width}, Init::normal(init_std));
}

Tensor Embedding::operator()(const Tensor& tokens) const { return embedding(tokens, weight_); }

}  // namespace tapestry
