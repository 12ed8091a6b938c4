#include <gtest/gtest.h>

#include <memory>

#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "tests/support/fixture_file.h"
#include "tests/support/given_gradient.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<std::string> fixture_names() {
  return FixtureGroup::open(fixture_folder() + "/optimizers.h5").groups();
}

Tensor tensor_of(const FixtureArray& array, DType dtype) {
  const auto& s = array.shape;
  return Tensor::from(array.data, s.size() == 1 ? Shape{s[0]} : Shape{s[0], s[1]}).to(dtype);
}

std::unique_ptr<Optimizer> optimizer_of(const FixtureGroup& group, std::vector<NamedParameter> parameters) {
  const double decay = group.number("weight_decay", 0);
  if (group.has_attribute("beta1")) {
    const AdamWOptions options{group.number("beta1"), group.number("beta2"), group.number("eps"), decay,
                               true};
    return std::make_unique<AdamW>(std::move(parameters), options);
  }
  const SgdOptions options{group.number("momentum", 0), group.number("dampening", 0),
                           group.number("nesterov", 0) != 0, decay, true};
  return std::make_unique<Sgd>(std::move(parameters), options);
}

void give_gradients(const std::vector<NamedParameter>& parameters, const FixtureGroup& step, DType dtype,
                    double factor) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    FixtureArray gradient = step.array(join("grad", i));
    for (double& g : gradient.data) g *= factor;
    give_gradient(parameters[i].parameter, tensor_of(gradient, dtype));
  }
}

/// Follows a trajectory; the optimizer has gradients times `gradient_factor`, which the scale takes away
/// again.
void follow(const FixtureGroup& group, DType dtype, double tolerance, double gradient_factor) {
  ASSERT_EQ(group.number("amsgrad", 0), 0) << "not implemented";
  ASSERT_EQ(group.number("maximize", 0), 0) << "not implemented";
  std::vector<NamedParameter> parameters;
  for (int i = 0; group.has(join("p", i)); ++i) {
    parameters.push_back({join("p", i), Parameter(tensor_of(group.array(join("p", i)), dtype))});
  }
  ASSERT_FALSE(parameters.empty());
  const std::unique_ptr<Optimizer> optimizer = optimizer_of(group, parameters);
  int steps = 0;
  for (; group.has(join("step", steps)); ++steps) {
    const FixtureGroup step = group.group(join("step", steps));
    give_gradients(parameters, step, dtype, 1);
    const GradientNorm clipped = clip_gradient_norm(parameters, group.number("clip", 0));
    if (step.has_attribute("grad_norm")) {
      EXPECT_LE(difference({clipped.norm}, {step.number("grad_norm")}), tolerance) << "step " << steps;
    }
    optimizer->zero_grad();
    give_gradients(parameters, step, dtype, gradient_factor);
    optimizer->step(group.number("lr"), clipped.scale / gradient_factor);
    optimizer->zero_grad();
    for (size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_LE(difference(parameters[i].parameter.value().values<double>(), step.array(join("p", i)).data),
                tolerance)
          << "step " << steps << ", parameter " << i;
    }
  }
  EXPECT_GT(steps, 0);
  EXPECT_EQ(optimizer->steps(), steps);
}

class OptimizerFixture : public testing::TestWithParam<std::string> {
 protected:
  FixtureGroup group() const {
    return FixtureGroup::open(fixture_folder() + "/optimizers.h5").group(GetParam());
  }
};

TEST_P(OptimizerFixture, Float64) { follow(group(), DType::float64, 1e-10, 1); }
TEST_P(OptimizerFixture, Float32) { follow(group(), DType::float32, 5e-6, 1); }
TEST_P(OptimizerFixture, GradientScaleIsFoldedIn) { follow(group(), DType::float64, 1e-10, 37); }

INSTANTIATE_TEST_SUITE_P(Fixture, OptimizerFixture, testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tapestry::test
