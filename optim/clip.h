#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "autograd/host_device.h"
#include "autograd/parameter.h"
#include "autograd/readback.h"

namespace tapestry {

struct GradientNorm {
  double norm = 0;        // of all gradients together
  double scale = 1;       // the factor of clipping: hand it to Optimizer::step
  std::string nonfinite;  // the first parameter whose gradient is not finite; empty if all are
};

/// The Euclidean norm over all gradients, and the factor min(1, max_norm / (norm + 1e-6)) that torch's
/// clip_grad_norm_ applies; `max_norm` 0 does not clip. Reads the gradients once, sums in
/// double; the same bits for any number of threads. Nothing of it waits for the device but `read`.
class Clipping {
 public:
  /// `conditions` are scalars that have to be finite too: a loss, the scale of the update before.
  Clipping(const std::vector<NamedParameter>& parameters, double max_norm,
           const std::vector<Tensor>& conditions = {});

  /// GradientNorm::scale as a float64 scalar beside the gradients, for Optimizer::step; NaN, which keeps that
  /// from changing anything, where a gradient or a condition is not finite.
  const Tensor& scale() const { return scale_; }
  GradientNorm read() const;

 private:
  std::vector<std::string> names_;  // of the parameters that have gradients
  double max_norm_;
  std::optional<Readback> squares_;  // sum of the squares of each of those gradients
  Tensor scale_;
};

/// The same, known at once.
GradientNorm clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm);

/// The norm of gradients whose sums of squares are given, and the scale of an update with them; NaN where one
/// is not finite.
struct ClippedScale {
  double norm, scale;
  TAPESTRY_HD ClippedScale(const double* squares, int64_t count, double max_norm) {
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += squares[i];
    norm = std::sqrt(total);
    const double factor = max_norm / (norm + 1e-6);
    scale = max_norm > 0 && factor < 1 ? factor : 1;
    if (!(norm - norm == 0)) scale = norm - norm;
  }
};

/// The gradient of one parameter, [n].
template <class T>
struct GradientBlock {
  const T* g;
  int64_t n;
};

namespace cpu {
/// sums[k] = sum of the squares of block k; the blocks lie on the host, gradients and sums on the device.
template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums);
/// ClippedScale::scale
void clip_scale(const double* squares, int64_t count, double max_norm, double* scale);
/// Makes `scale` NaN unless `condition` is finite.
template <class T>
void require_finite(const T* condition, double* scale);
}  // namespace cpu
namespace cuda {
template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums);
void clip_scale(const double* squares, int64_t count, double max_norm, double* scale);
template <class T>
void require_finite(const T* condition, double* scale);
}  // namespace cuda

}  // namespace tapestry
