#pragma once

#include <vector>

#include "autograd/host_device.h"
#include "optim/optimizer.h"

namespace tapestry {

struct SgdOptions {
  double momentum = 0.9;
  double dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;
  bool decay_vectors = false;  // false: only parameters of two or more axes decay
};

/// Gradient descent in the form of torch: weight decay joins the gradient; the momentum buffer starts as the
/// first gradient, undampened. State: `momentum`, unless the momentum is 0.
class Sgd : public Optimizer {
 public:
  Sgd(std::vector<NamedParameter> parameters, SgdOptions options);

 private:
  void update(const std::vector<size_t>& which, double learning_rate, const Tensor& gradient_scale) override;

  SgdOptions options_;
  std::vector<Tensor> momentum_;  // empty without momentum
};

/// The update of one element, with and without a momentum buffer.
template <class T>
struct SgdElement {
  SgdElement(const SgdOptions& options, double weight_decay, double learning_rate, int64_t step)
      : decay(weight_decay),
        momentum(step == 1 ? 0 : options.momentum),
        share(step == 1 ? 1 : 1 - options.dampening),
        // p -= learning_rate * (of_gradient * g + of_buffer * buffer)
        of_gradient(options.nesterov ? 1 : 0),
        of_buffer(options.nesterov ? options.momentum : 1),
        rate(learning_rate) {}

  TAPESTRY_HD void operator()(T& p, T gradient) const { p -= rate * (gradient + decay * p); }
  /// Loads before it stores, as AdamWElement does.
  TAPESTRY_HD void operator()(T& p, T gradient, T& buffer) const {
    const T g = gradient + decay * p;
    const T velocity = momentum * buffer + share * g;
    p -= rate * (of_gradient * g + of_buffer * velocity);
    buffer = velocity;
  }

  T decay, momentum, share, of_gradient, of_buffer, rate;
};

/// One parameter: p, g, buffer [n]; buffer is nullptr without momentum.
template <class T>
struct SgdBlock {
  SgdElement<T> element;
  T* p;
  const T* g;
  T* buffer;
  int64_t n;
};

/// The blocks lie on the host, what they point to and the scale of the gradients on the device. A scale that
/// is not finite changes nothing.
namespace cpu {
template <class T>
void sgd_update(const SgdBlock<T>* blocks, size_t count, const double* gradient_scale);
}
namespace cuda {
template <class T>
void sgd_update(const SgdBlock<T>* blocks, size_t count, const double* gradient_scale);
}

}  // namespace tapestry
