#pragma once

#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace tapestry {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Changes parameters by their gradients. The trainer and the checkpoint see this interface only.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with the gradients times `gradient_scale`, the factor of clipping, which so need not pass
  /// over the gradients itself. A parameter without a gradient stays as it is, and so does its state.
  void step(double learning_rate, double gradient_scale = 1);
  /// The same with a float64 scalar beside the parameters. Where it is not finite, no number changes.
  void step(double learning_rate, const Tensor& gradient_scale);
  /// Clears the gradients of all parameters.
  void zero_grad() const;

  const std::vector<NamedParameter>& parameters() const { return parameters_; }
  /// Factors of the learning rate, one for each parameter; 1 until they are set.
  void set_rates(std::vector<double> rates);

  /// Tensors named `<kind>/<parameter>`, of the shape and dtype of the parameter; copying into them restores
  /// a state. With `steps()` they are all that the next update depends on.
  std::vector<NamedTensor>& state() { return state_; }
  /// Updates so far.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

 protected:
  explicit Optimizer(std::vector<NamedParameter> parameters)
      : parameters_(std::move(parameters)), rates_(parameters_.size(), 1) {}

  /// Adds a tensor of zeros for every parameter to the state.
  std::vector<Tensor> add_state(const std::string& kind);
  /// Updates the parameters with these indices, which have gradients and share dtype and device; `steps()`
  /// counts this update.
  virtual void update(const std::vector<size_t>& which, double learning_rate,
                      const Tensor& gradient_scale) = 0;
  double rate(size_t i) const { return rates_[i]; }

 private:
  std::vector<NamedParameter> parameters_;
  std::vector<double> rates_;
  std::vector<NamedTensor> state_;
  int64_t steps_ = 0;
};

/// Weight decay is for matrices, embeddings among them; `all` includes vectors: biases, gains of norms.
inline double decay_of(const Parameter& parameter, double weight_decay, bool all) {
  return all || parameter.shape().rank() >= 2 ? weight_decay : 0;
}

}  // namespace tapestry
