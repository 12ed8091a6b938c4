#include "autograd/ops/binary.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase binary_case(std::string name, Tensor (*op)(const Tensor&, const Tensor&),
                   double (*formula)(double, double), Shape a, Shape b) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{a}, {b}};
  result.op = [op](const std::vector<Tensor>& in) { return op(in[0], in[1]); };
  result.reference = [formula](const std::vector<Values>& in) {
    std::vector<double> y;
    for (size_t i = 0; i < in[0].data.size(); ++i)
      y.push_back(formula(in[0][i], in[1][i % in[1].data.size()]));
    return y;
  };
  return result;
}

OpCase scale_case() {
  OpCase result;
  result.name = "scale";
  result.inputs = {{{3, 37}}};
  result.op = [](const std::vector<Tensor>& in) { return scale(in[0], -1.7); };
  result.reference = [](const std::vector<Values>& in) {
    std::vector<double> y;
    for (double x : in[0].data) y.push_back(-1.7 * x);
    return y;
  };
  return result;
}

double sum(double a, double b) { return a + b; }
double difference(double a, double b) { return a - b; }
double product(double a, double b) { return a * b; }

std::vector<OpCase> cases() {
  return {binary_case("add", add, sum, {3, 37}, {3, 37}),
          binary_case("add_positions", add, sum, {5, 7, 9}, {7, 9}),
          binary_case("add_bias", add, sum, {2, 101, 33}, {33}),
          binary_case("add_scalar", add, sum, {150, 3}, {}),
          binary_case("add_wide", add, sum, {2, 16401}, {16401}),
          binary_case("sub", sub, difference, {63}, {63}),
          binary_case("sub_bias", sub, difference, {70, 5}, {5}),
          binary_case("mul", mul, product, {2, 5, 13}, {2, 5, 13}),
          binary_case("mul_broadcast", mul, product, {9, 15, 4}, {15, 4}),
          binary_case("mul_gain", mul, product, {3, 45, 17}, {17}),
          scale_case()};
}

OP_TEST(Binary, cases());

TEST(Binary, RefusesShapesThatAreNoSuffix) {
  const Tensor a = Tensor::zeros({2, 3, 4});
  EXPECT_THROW(add(a, Tensor::zeros({2, 3})), Error);
  EXPECT_THROW(add(a, Tensor::zeros({3})), Error);
  EXPECT_THROW(mul(Tensor::zeros({4}), a), Error);
  EXPECT_THROW(add(a, Tensor::zeros({4}, DType::float64)), Error);
}

}  // namespace
}  // namespace tapestry::test
