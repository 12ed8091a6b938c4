#include "autograd/ops/unary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Function = double (*)(double);

OpCase unary_case(std::string name, Tensor (*op)(const Tensor&), Function formula, Shape shape) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{shape, Input::Kind::normal, 0, 2.0}};
  result.op = [op](const std::vector<Tensor>& in) { return op(in[0]); };
  result.reference = [formula](const std::vector<Values>& in) {
    std::vector<double> y;
    for (double x : in[0].data) y.push_back(formula(x));
    return y;
  };
  return result;
}

double gelu_formula(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double gelu_exact_formula(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double sigmoid_formula(double x) { return 1 / (1 + std::exp(-x)); }
double silu_formula(double x) { return x / (1 + std::exp(-x)); }
double relu2_formula(double x) { return x > 0 ? x * x : 0; }
double elu1_formula(double x) { return x > 0 ? x + 1 : std::exp(x); }

std::vector<OpCase> cases() {
  return {unary_case("gelu", gelu, gelu_formula, {3, 37}),
          unary_case("gelu_large", gelu, gelu_formula, {5, 7001}),
          unary_case("gelu_exact", gelu_exact, gelu_exact_formula, {63}),
          unary_case("sigmoid", sigmoid, sigmoid_formula, {2, 3, 5}),
          unary_case("silu", silu, silu_formula, {100}),
          unary_case("relu2", relu2, relu2_formula, {17}),
          unary_case("elu1", elu1, elu1_formula, {1, 33})};
}

OP_TEST(Unary, cases());

TEST(FastExp, IsWithinTwoUlpAndExactAtTheEnds) {
  double worst = 0;
  for (float x = -87; x < 88; x += 0.00371f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(fast_exp(x) - exact) / exact);
  }
  EXPECT_LT(worst, 2.5e-7);
  EXPECT_EQ(fast_exp(-INFINITY), 0.0f);
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_exp(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(fast_exp(NAN)));
}

TEST(ExpNonpositive, HasTheBitsOfFastExp) {
  for (float x = -88; x < 1; x += 0.00371f) ASSERT_EQ(exp_nonpositive(x), fast_exp(x)) << x;
  EXPECT_EQ(exp_nonpositive(-INFINITY), 0.0f);
  EXPECT_TRUE(std::isnan(exp_nonpositive(NAN)));
}

}  // namespace
}  // namespace tapestry::test
