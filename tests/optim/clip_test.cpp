#include "optim/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/given_gradient.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

std::vector<NamedParameter> parameters_with_gradients(DType dtype) {
  std::vector<NamedParameter> parameters;
  for (const Shape& shape : {Shape{1}, Shape{300, 191}, Shape{63}, Shape{5, 5}}) {
    const uint64_t key = parameters.size();
    const Parameter parameter(Tensor::zeros(shape, dtype));
    if (key != 2) give_gradient(parameter, random_tensor(shape, key, dtype));
    parameters.push_back({join("p", key), parameter});
  }
  return parameters;
}

double naive_norm(const std::vector<NamedParameter>& parameters) {
  double sum = 0;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.has_gradient()) continue;
    for (const double g : parameter.gradient().values<double>()) sum += g * g;
  }
  return std::sqrt(sum);
}

TEST(Clip, NormIsThatOfAllGradientsThatThereAre) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const auto parameters = parameters_with_gradients(dtype);
    const double norm = naive_norm(parameters);
    EXPECT_NEAR(clip_gradient_norm(parameters, 0).norm / norm, 1, 1e-13);
  }
  EXPECT_EQ(clip_gradient_norm({}, 1).norm, 0);
}

TEST(Clip, ScalesDownOnly) {
  const auto parameters = parameters_with_gradients(DType::float32);
  const double norm = naive_norm(parameters);
  EXPECT_EQ(clip_gradient_norm(parameters, 0).scale, 1);
  EXPECT_EQ(clip_gradient_norm(parameters, 2 * norm).scale, 1);
  EXPECT_NEAR(clip_gradient_norm(parameters, norm / 4).scale, norm / 4 / (norm + 1e-6), 1e-12);
}

TEST(Clip, TheSameBitsForAnyNumberOfThreads) {
  const auto parameters = parameters_with_gradients(DType::float32);
  expect_same_for_any_threads([&] { return clip_gradient_norm(parameters, 0).norm; });
}

TEST(Clip, NamesTheFirstGradientThatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, inf, -inf}) {
    auto parameters = parameters_with_gradients(DType::float32);
    EXPECT_EQ(clip_gradient_norm(parameters, 1).nonfinite, "");
    for (const int at : {3, 1}) {
      Tensor& gradient = parameters[at].parameter.gradient();
      gradient.mutable_data<float>()[gradient.size() - 1] = static_cast<float>(bad);
      const GradientNorm result = clip_gradient_norm(parameters, 1);
      EXPECT_FALSE(std::isfinite(result.norm));
      EXPECT_EQ(result.nonfinite, join("p", at));
    }
  }
}

TEST(Clip, BigFloatsDoNotOverflow) {
  const Parameter parameter(Tensor::zeros({100}));
  give_gradient(parameter, Tensor::full({100}, 1e30));
  const GradientNorm result = clip_gradient_norm({{"p", parameter}}, 1);
  EXPECT_NEAR(result.norm / 1e31, 1, 1e-6);
  EXPECT_EQ(result.nonfinite, "");
}

}  // namespace
}  // namespace tapestry::test
