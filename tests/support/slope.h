#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/random.h"

namespace tapestry::test {

/// Elements [begin, end) of a float64 tensor, with the gradient of a loss by all of them.
struct Movable {
  Tensor value, gradient;
  int64_t begin, end;
};

inline std::vector<Movable> movable(const std::vector<NamedParameter>& parameters) {
  std::vector<Movable> all;
  for (const auto& [name, parameter] : parameters) {
    EXPECT_TRUE(parameter.has_gradient()) << name;
    all.push_back({parameter.value(), parameter.gradient(), 0, parameter.shape().size()});
  }
  return all;
}

/// Along one random direction of all elements, the slope of `loss` by its gradient is that by central
/// differences of fourth order: four losses in place of four an element. `rounding` is what the differences
/// may be off besides, where the slope is small against the loss.
inline void expect_slope(std::vector<Movable> parts, const std::function<double()>& loss,
                         double rounding = 0) {
  std::vector<std::vector<double>> starts;
  double analytic = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    starts.push_back(parts[i].value.values<double>());
    const std::vector<double> gradient = parts[i].gradient.values<double>();
    for (int64_t j = parts[i].begin; j < parts[i].end; ++j) analytic += gradient[j] * random_normal(i, j);
  }
  const auto moved = [&](double shift) {
    for (size_t i = 0; i < parts.size(); ++i) {
      double* value = parts[i].value.mutable_data<double>();
      for (int64_t j = parts[i].begin; j < parts[i].end; ++j)
        value[j] = starts[i][j] + shift * random_normal(i, j);
    }
    return loss();
  };
  const double h = 1e-5;
  const double numeric = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
  moved(0);
  EXPECT_NEAR(analytic, numeric, 1e-7 * std::abs(numeric) + rounding);
}

}  // namespace tapestry::test
