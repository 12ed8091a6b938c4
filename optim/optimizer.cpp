#include "optim/optimizer.h"

namespace tapestry {

void Optimizer::step(double learning_rate, double gradient_scale) {
  const Device device = parameters_.empty() ? Device::cpu() : parameters_[0].parameter.value().device();
  step(learning_rate, Tensor::full({}, gradient_scale, DType::float64, device));
}

void Optimizer::step(double learning_rate, const Tensor& gradient_scale) {
  ++steps_;
  std::vector<size_t> which;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].parameter.has_gradient()) which.push_back(i);
  }
  if (!which.empty()) update(which, learning_rate, gradient_scale);
}

void Optimizer::set_rates(std::vector<double> rates) {
  require(rates.size() == parameters_.size(), rates.size(), " rates for ", parameters_.size(), " parameters");
  rates_ = std::move(rates);
}

void Optimizer::zero_grad() const {
  for (const NamedParameter& named : parameters_) named.parameter.clear_gradient();
}

std::vector<Tensor> Optimizer::add_state(const std::string& kind) {
  std::vector<Tensor> tensors;
  for (const auto& [name, parameter] : parameters_) {
    const Tensor& value = parameter.value();
    tensors.push_back(Tensor::zeros(value.shape(), value.dtype(), value.device()));
    state_.push_back({join(kind, "/", name), tensors.back()});
  }
  return tensors;
}

}  // namespace tapestry
