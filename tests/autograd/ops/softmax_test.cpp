#include "autograd/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase softmax_case(std::string name, Shape shape, double scale) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{.shape = shape, .scale = scale}};
  result.op = [](const std::vector<Tensor>& in) { return softmax(in[0]); };
  result.reference = [](const std::vector<Values>& in) {
    const int64_t n = in[0].shape[-1];
    std::vector<double> y(in[0].data.size());
    for (int64_t row = 0; row < in[0].shape.rows(); ++row) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(in[0][row * n + i]);
      for (int64_t i = 0; i < n; ++i) y[row * n + i] = std::exp(in[0][row * n + i]) / sum;
    }
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {softmax_case("heads", {2, 3, 2, 8}, 1), softmax_case("long_rows", {3, 257}, 2),
          softmax_case("far_apart", {5, 7}, 20), softmax_case("single", {4, 1}, 1)};
}

OP_TEST(SoftmaxOp, cases());

TEST(Softmax, LargeInputsStayFinite) {
  const Tensor y = softmax(Tensor::from<float>({1000, 1000, -1000}, {1, 3}));
  EXPECT_EQ(y.values<double>(), (std::vector<double>{0.5, 0.5, 0}));
}

}  // namespace
}  // namespace tapestry::test
