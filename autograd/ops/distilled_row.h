#pragma once

#include <cmath>
#include <cstdint>

#include "autograd/math.h"
#include "autograd/ops/linear_distillation.h"

/// What both halves of linear_distillation make of a row of logits.
namespace tapestry {

/// A row of logits in a softmax of temperature 1 / `sharpness`: p_i = weight(i) / sum.
template <class T>
struct SoftmaxRow {
  const T* z;
  T largest, sharpness;
  double sum;

  TAPESTRY_HD T weight(int64_t i) const { return fast_exp(sharpness * (z[i] - largest)); }
  /// log p_i
  TAPESTRY_HD double log(int64_t i) const {
    return double(sharpness) * double(z[i] - largest) - std::log(sum);
  }
};

/// The student's row as it is and softened, and the teacher's softened row.
template <class T>
struct DistilledRow {
  SoftmaxRow<T> plain, soft, aim;

  /// KL(aim || soft) = sum_i term(i) / aim.sum - log aim.sum + log soft.sum
  TAPESTRY_HD T divergence_term(int64_t i) const {
    return aim.weight(i) * aim.sharpness * ((aim.z[i] - aim.largest) - (soft.z[i] - soft.largest));
  }
  TAPESTRY_HD double divergence(double terms) const {
    return terms / aim.sum - std::log(aim.sum) + std::log(soft.sum);
  }
};

/// The gradient of the student's logits, of `unit` times (1 - weight) nll + weight temperature^2 kl.
template <class T>
struct DistilledSlope {
  DistilledRow<T> row;
  T plain, soft, aim, target;

  TAPESTRY_HD DistilledSlope(const DistilledRow<T>& of, double unit, const DistillationOptions& options)
      : row(of) {
    const double of_data = unit * (1 - options.weight);
    const double of_teacher = unit * options.weight * options.temperature;
    plain = static_cast<T>(of_data / row.plain.sum);
    soft = static_cast<T>(of_teacher / row.soft.sum);
    aim = static_cast<T>(of_teacher / row.aim.sum);
    target = static_cast<T>(of_data);
  }
  /// `target` is still to be taken off at the target.
  TAPESTRY_HD T operator()(int64_t i) const {
    return plain * row.plain.weight(i) + soft * row.soft.weight(i) - aim * row.aim.weight(i);
  }
};

}  // namespace tapestry
