#include "autograd/ops/l2_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> formula(const Values& x, int64_t width, double eps) {
  std::vector<double> y = x.data;
  for (size_t begin = 0; begin < y.size(); begin += width) {
    double sum = eps;
    for (int64_t i = 0; i < width; ++i) sum += x[begin + i] * x[begin + i];
    for (int64_t i = 0; i < width; ++i) y[begin + i] /= std::sqrt(sum);
  }
  return y;
}

OpCase norm_case(const std::string& name, Shape shape, int64_t width, double eps, double size = 1) {
  OpCase result;
  result.name = "l2_norm_" + name;
  result.inputs = {{.shape = shape, .scale = size}};
  result.op = [=](const std::vector<Tensor>& in) { return l2_norm(in[0], width, eps); };
  result.reference = [=](const std::vector<Values>& in) { return formula(in[0], width, eps); };
  return result;
}

std::vector<OpCase> cases() {
  return {norm_case("heads", {2, 5, 12}, 4, 1e-6), norm_case("large_eps", {3, 10}, 5, 0.5),
          norm_case("single_numbers", {2, 3}, 1, 0.1), norm_case("short", {4, 6}, 3, 1, 1e-2)};
}

OP_TEST(L2NormOp, cases());

TEST(L2Norm, OfZeroIsZero) {
  for (const float value : l2_norm(Tensor::zeros({2, 4}), 4, 1e-6).values<float>()) EXPECT_EQ(value, 0);
}

TEST(L2Norm, RefusesWhatDoesNotFit) {
  expect_error(Exit::usage, "pieces of 4 in x [2, 6]", [] { l2_norm(Tensor::zeros({2, 6}), 4, 1e-6); });
}

}  // namespace
}  // namespace tapestry::test
