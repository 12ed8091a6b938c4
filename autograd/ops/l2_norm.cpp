#include "autograd/ops/l2_norm.h"

#include <cmath>

#include "autograd/ops/rms_norm.h"

namespace tapestry {

Tensor l2_norm(const Tensor& x, int64_t width, double eps) {
  require(x.rank() >= 1 && width >= 1 && x.dim(-1) % width == 0, "l2_norm: pieces of ", width, " in x ",
          x.shape());
  // |z|^2 + eps = width (mean(z^2) + eps / width)
  const double n = static_cast<double>(width);
  return rms_norm(x, Tensor::full({width}, 1 / std::sqrt(n), x.dtype(), x.device()), eps / n);
}

}  // namespace tapestry
