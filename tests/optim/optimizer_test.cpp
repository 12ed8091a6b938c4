#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/support/given_gradient.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

using Make = std::function<std::unique_ptr<Optimizer>(std::vector<NamedParameter>)>;

template <class O, class Options>
Make maker(Options options) {
  return [=](std::vector<NamedParameter> parameters) {
    return std::make_unique<O>(std::move(parameters), options);
  };
}

const std::vector<Make>& makers() {
  static const std::vector<Make> all = {
      maker<AdamW>(AdamWOptions{}), maker<Sgd>(SgdOptions{.momentum = 0.9, .dampening = 0.3}),
      maker<Sgd>(SgdOptions{.nesterov = true}), maker<Sgd>(SgdOptions{.momentum = 0, .weight_decay = 0.1})};
  return all;
}

/// A matrix longer than one piece of a parallel loop, and a vector.
std::vector<NamedParameter> parameters() {
  return {{"weight", Parameter(random_tensor({401, 77}, 1, DType::float32))},
          {"bias", Parameter(random_tensor({77}, 2, DType::float32))}};
}

void take_step(Optimizer& optimizer, uint64_t key) {
  for (const auto& [name, parameter] : optimizer.parameters()) {
    give_gradient(parameter, random_tensor(parameter.shape(), ++key, DType::float32));
  }
  optimizer.step(0.01, 0.25);
  optimizer.zero_grad();
}

std::vector<float> values(const Optimizer& optimizer) {
  std::vector<float> all;
  for (const auto& [name, parameter] : optimizer.parameters()) {
    const std::vector<float> some = parameter.value().values<float>();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

/// Parameters after two steps, a restore into a fresh optimizer, and a third step. `spoil` breaks the
/// restore.
std::vector<float> after_restore(const Make& make, const std::function<void(Optimizer&)>& spoil) {
  const std::unique_ptr<Optimizer> first = make(parameters());
  take_step(*first, 10);
  take_step(*first, 20);
  std::vector<NamedParameter> copies;
  for (const auto& [name, parameter] : first->parameters()) {
    copies.push_back({name, Parameter(parameter.value().clone())});
  }
  const std::unique_ptr<Optimizer> second = make(copies);
  for (size_t i = 0; i < second->state().size(); ++i) {
    EXPECT_EQ(second->state()[i].name, first->state()[i].name);
    second->state()[i].tensor.copy_from(first->state()[i].tensor);
  }
  second->set_steps(first->steps());
  spoil(*second);
  take_step(*second, 30);
  return values(*second);
}

TEST(Optimizer, ARestoredStateGoesOnBitForBit) {
  for (const Make& make : makers()) {
    const std::unique_ptr<Optimizer> straight = make(parameters());
    for (const uint64_t key : {10, 20, 30}) take_step(*straight, key);
    EXPECT_EQ(after_restore(make, [](Optimizer&) {}), values(*straight));
    for (size_t i = 0; i < straight->state().size(); ++i) {
      EXPECT_NE(after_restore(make, [i](Optimizer& o) { o.state()[i].tensor.fill(0); }), values(*straight));
    }
  }
  EXPECT_NE(after_restore(makers()[0], [](Optimizer& o) { o.set_steps(0); }),
            after_restore(makers()[0], [](Optimizer&) {}));
}

TEST(Optimizer, StateIsNamedByKindAndParameter) {
  std::vector<std::string> names;
  const std::unique_ptr<Optimizer> adamw = makers()[0](parameters());
  for (const NamedTensor& state : adamw->state()) {
    names.push_back(state.name);
    EXPECT_EQ(state.tensor.dtype(), DType::float32);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"m/weight", "m/bias", "v/weight", "v/bias"}));
  EXPECT_EQ(makers()[1](parameters())->state().front().name, "momentum/weight");
  EXPECT_TRUE(makers()[3](parameters())->state().empty());
}

TEST(Optimizer, OnlyMatricesDecay) {
  for (const Make& make : {makers()[0], makers()[3]}) {
    const std::unique_ptr<Optimizer> optimizer = make(parameters());
    const std::vector<NamedParameter> before = parameters();
    for (const auto& [name, parameter] : optimizer->parameters()) {
      give_gradient(parameter, Tensor::zeros(parameter.shape()));
    }
    optimizer->step(0.5);
    std::vector<double> shrunk = before[0].parameter.value().values<double>();
    for (double& value : shrunk) value *= 1 - 0.5 * 0.1;
    EXPECT_LE(difference(optimizer->parameters()[0].parameter.value().values<double>(), shrunk), 1e-6);
    EXPECT_EQ(optimizer->parameters()[1].parameter.value().values<float>(),
              before[1].parameter.value().values<float>());
  }
}

TEST(Optimizer, AParameterWithoutGradientStays) {
  for (const Make& make : makers()) {
    const std::unique_ptr<Optimizer> optimizer = make(parameters());
    const auto& [name, weight] = optimizer->parameters()[0];
    give_gradient(weight, random_tensor(weight.shape(), 5, DType::float32));
    const uint64_t version = weight.value().storage()->version();
    optimizer->step(0.01);
    EXPECT_GT(weight.value().storage()->version(), version) << "the tape must notice the change";
    EXPECT_NE(weight.value().values<float>(), parameters()[0].parameter.value().values<float>());
    EXPECT_EQ(optimizer->parameters()[1].parameter.value().values<float>(),
              parameters()[1].parameter.value().values<float>());
    optimizer->zero_grad();
    EXPECT_FALSE(weight.has_gradient());
  }
}

TEST(Optimizer, TheSameBitsForAnyNumberOfThreads) {
  for (const Make& make : makers()) {
    expect_same_for_any_threads([&] {
      const std::unique_ptr<Optimizer> optimizer = make(parameters());
      take_step(*optimizer, 10);
      take_step(*optimizer, 20);
      return values(*optimizer);
    });
  }
}

TEST(AdamW, AveragesThatFadeOutReachZero) {
  const Parameter p(Tensor::full({40}, 1));
  AdamW adamw({{"p", p}}, {});
  for (NamedTensor& state : adamw.state()) state.tensor.fill(2e-38);
  give_gradient(p, Tensor::zeros({40}));
  for (int i = 0; i < 20; ++i) adamw.step(0.01);
  for (const NamedTensor& state : adamw.state()) {
    EXPECT_EQ(state.tensor.values<float>(), std::vector<float>(40, 0.f))
        << state.name << " is stuck at denormals";
  }
  volatile float tiny = 1e-38f;
  EXPECT_GT(tiny / 10, 0) << "outside, denormals are as before";
}

TEST(Sgd, DampeningSparesTheFirstGradient) {
  const Parameter p(Tensor::from<double>({1}, {1}));
  Sgd sgd({{"p", p}}, {.momentum = 0.5, .dampening = 0.25});
  double value = 1, buffer = 0;
  for (const double g : {2.0, -3.0, 5.0}) {
    give_gradient(p, Tensor::from<double>({g}, {1}));
    sgd.step(0.1);
    sgd.zero_grad();
    buffer = sgd.steps() == 1 ? g : 0.5 * buffer + 0.75 * g;
    value -= 0.1 * buffer;
    EXPECT_NEAR(p.value().item(), value, 1e-15);
  }
}

TEST(Sgd, NesterovNeedsMomentumWithoutDampening) {
  EXPECT_THROW(Sgd(parameters(), {.momentum = 0, .nesterov = true}), Error);
  EXPECT_THROW(Sgd(parameters(), {.dampening = 0.1, .nesterov = true}), Error);
}

}  // namespace
}  // namespace tapestry::test
