#pragma once

#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace tapestry {

struct GradientNorm {
  double norm = 0;        // of all gradients together, times the scale given
  double scale = 1;       // the scale given times the factor of clipping: hand it to Optimizer::step
  std::string nonfinite;  // the first parameter whose gradient is not finite; empty if all are
};

/// The Euclidean norm over all gradients times `gradient_scale`, and the factor min(1, max_norm / (norm +
/// 1e-6)) that torch's clip_grad_norm_ applies; `max_norm` 0 does not clip. Reads the gradients once, sums in
/// double; the same bits for any number of threads.
GradientNorm clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm,
                                double gradient_scale = 1);

/// The gradient of one parameter, [n].
template <class T>
struct GradientBlock {
  const T* g;
  int64_t n;
};

/// sums[k] = sum of the squares of block k; blocks and sums lie on the host, the gradients on the device.
namespace cpu {
template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums);
}
namespace cuda {
template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums);
}

}  // namespace tapestry
