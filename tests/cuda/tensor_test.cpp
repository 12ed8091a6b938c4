#include "autograd/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autograd/pool.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "tests/support/given_gradient.h"
#include "tests/support/needs_cuda.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using CudaTensor = NeedsCuda;

TEST_F(CudaTensor, CopiesKeepTheBits) {
  // Longer than a piece of the pinned memory that copies pass through.
  std::vector<float> values((int64_t{9} << 20) / 4 + 3);
  std::iota(values.begin(), values.end(), -5.0f);
  const Tensor x = Tensor::from(values, {static_cast<int64_t>(values.size())});
  const Tensor there = x.to(Device::cuda());
  EXPECT_EQ(there.device(), Device::cuda());
  EXPECT_EQ(there.values<float>(), values);
  EXPECT_EQ(there.clone().to(Device::cpu()).values<float>(), values);
}

TEST_F(CudaTensor, FillsAndConverts) {
  Tensor x = Tensor::full({3, 5}, 2.5, DType::float64, Device::cuda());
  EXPECT_EQ(x.values<double>(), std::vector<double>(15, 2.5));
  EXPECT_EQ(x.to(DType::float32).device(), Device::cuda());
  EXPECT_EQ(x.to(DType::int32).values<int32_t>(), std::vector<int32_t>(15, 2));
  x.fill(0);
  EXPECT_EQ(x.values<double>(), std::vector<double>(15, 0.0));
}

TEST_F(CudaTensor, ThePoolCountsAndReusesItsOwnMemory) {
  const PoolStats before = pool_stats(Device::cuda());
  {
    const Tensor x = Tensor::empty({1000}, DType::float32, Device::cuda());
    EXPECT_GE(pool_stats(Device::cuda()).in_use, before.in_use + 4000);
  }
  const int64_t calls = pool_stats(Device::cuda()).system_calls;
  const Tensor again = Tensor::empty({1000}, DType::float32, Device::cuda());
  EXPECT_EQ(pool_stats(Device::cuda()).system_calls, calls);
  for (const double value : again.values<double>()) ASSERT_TRUE(std::isnan(value));  // poison mode
}

/// Parameters of several sizes, one of more than a piece, on a device, with gradients.
std::vector<NamedParameter> parameters_on(Device device) {
  std::vector<NamedParameter> parameters;
  for (const Shape& shape : {Shape{3, 5}, Shape{20000}, Shape{7}}) {
    const Parameter parameter(random_tensor(shape, 10 + parameters.size(), DType::float32).to(device));
    give_gradient(parameter, random_tensor(shape, 20 + parameters.size(), DType::float32).to(device));
    parameters.push_back({join("p", parameters.size()), parameter});
  }
  return parameters;
}

template <class Optimizer, class Options>
std::vector<std::vector<double>> updated_on(Device device, const Options& options) {
  Optimizer optimizer(parameters_on(device), options);
  for (int step = 0; step < 3; ++step) optimizer.step(0.01, 0.5);
  std::vector<std::vector<double>> values;
  for (const NamedParameter& named : optimizer.parameters())
    values.push_back(named.parameter.value().template values<double>());
  for (const NamedTensor& state : optimizer.state()) values.push_back(state.tensor.template values<double>());
  return values;
}

template <class Optimizer, class Options>
void expect_same_update(const Options& options) {
  const auto on_cpu = updated_on<Optimizer>(Device::cpu(), options);
  const auto on_cuda = updated_on<Optimizer>(Device::cuda(), options);
  ASSERT_EQ(on_cuda.size(), on_cpu.size());
  for (size_t i = 0; i < on_cpu.size(); ++i) EXPECT_LE(difference(on_cuda[i], on_cpu[i]), 1e-6) << i;
}

TEST_F(CudaTensor, OptimizersUpdateAsOnTheCpu) {
  expect_same_update<AdamW>(AdamWOptions{});
  expect_same_update<Sgd>(SgdOptions{.weight_decay = 0.1});
  expect_same_update<Sgd>(SgdOptions{.momentum = 0});
}

TEST_F(CudaTensor, ClippingSumsAsOnTheCpuAndNamesWhatIsNotFinite) {
  const GradientNorm on_cpu = clip_gradient_norm(parameters_on(Device::cpu()), 1);
  auto parameters = parameters_on(Device::cuda());
  const GradientNorm on_cuda = clip_gradient_norm(parameters, 1);
  EXPECT_NEAR(on_cuda.norm, on_cpu.norm, 1e-9 * on_cpu.norm);
  EXPECT_NEAR(on_cuda.scale, on_cpu.scale, 1e-9);
  parameters[2].parameter.gradient().fill(NAN);
  EXPECT_EQ(clip_gradient_norm(parameters, 1).nonfinite, "p2");
}

}  // namespace
}  // namespace tapestry::test
