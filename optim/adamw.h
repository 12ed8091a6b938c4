#pragma once

#include <cmath>
#include <vector>

#include "autograd/host_device.h"
#include "optim/optimizer.h"

namespace tapestry {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  bool decay_vectors = false;  // false: only parameters of two or more axes decay
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2) in the form of torch: the decay
/// is learning_rate * weight_decay * p, eps stands outside the bias-corrected root. State: m and v.
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<NamedParameter> parameters, AdamWOptions options);

 private:
  void update(const std::vector<size_t>& which, double learning_rate, const Tensor& gradient_scale) override;

  AdamWOptions options_;
  std::vector<Tensor> m_, v_;
};

/// The update of one element, with all that is the same for the elements of a parameter worked out.
template <class T>
struct AdamWElement {
  AdamWElement(const AdamWOptions& options, double weight_decay, double learning_rate, int64_t step)
      : keep(1 - learning_rate * weight_decay),
        beta1(options.beta1),
        rest1(1 - options.beta1),
        beta2(options.beta2),
        rest2(1 - options.beta2),
        rate(learning_rate / (1 - std::pow(options.beta1, step))),
        correction2(1 / std::sqrt(1 - std::pow(options.beta2, step))),
        eps(options.eps) {}

  /// Loads everything before it stores anything: big tensors start at equal addresses modulo 4 KiB, where a
  /// load behind a store to the other tensor's same offset waits for it (2.5 times slower).
  TAPESTRY_HD void operator()(T& p, T g, T& m, T& v) const {
    const T mean = beta1 * m + rest1 * g;
    const T square = beta2 * v + rest2 * g * g;
    const T value = keep * p - rate * mean / (std::sqrt(square) * correction2 + eps);
    p = value;
    m = mean;
    v = square;
  }

  T keep, beta1, rest1, beta2, rest2, rate, correction2, eps;
};

/// One parameter: p, g, m, v [n].
template <class T>
struct AdamWBlock {
  AdamWElement<T> element;
  T* p;
  const T* g;
  T* m;
  T* v;
  int64_t n;
};

/// One pass that reads p, g, m, v and writes p, m, v; the blocks lie on the host, what they point to and the
/// scale of the gradients on the device. A scale that is not finite changes nothing.
namespace cpu {
template <class T>
void adamw_update(const AdamWBlock<T>* blocks, size_t count, const double* gradient_scale);
}
namespace cuda {
template <class T>
void adamw_update(const AdamWBlock<T>* blocks, size_t count, const double* gradient_scale);
}

}  // namespace tapestry
