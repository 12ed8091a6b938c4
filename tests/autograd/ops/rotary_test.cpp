#include "autograd/ops/rotary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> rotary_formula(const Values& x, int64_t n_head, double theta, int64_t first,
                                   int64_t stride) {
  const int64_t tokens = x.shape[1], c = x.shape[2], d = c / n_head;
  std::vector<double> y(x.data.size());
  for (int64_t row = 0; row < x.shape[0] * tokens; ++row) {
    for (int64_t h = 0; h < n_head; ++h) {
      for (int64_t j = 0; j < d / 2; ++j) {
        const double angle = (first + stride * (row % tokens)) * std::pow(theta, -2.0 * j / d);
        const int64_t a = row * c + h * d + j, b = a + d / 2;
        y[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
        y[b] = x[a] * std::sin(angle) + x[b] * std::cos(angle);
      }
    }
  }
  return y;
}

OpCase rotary_case(std::string name, Shape x, int64_t n_head, double theta, int64_t first,
                   bool moving = true) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}};
  result.op = [=](const std::vector<Tensor>& in) {
    return moving ? rotary(in[0], n_head, first, theta) : rotary_at(in[0], n_head, first, theta);
  };
  result.reference = [=](const std::vector<Values>& in) {
    return rotary_formula(in[0], n_head, theta, first, moving ? 1 : 0);
  };
  return result;
}

std::vector<OpCase> cases() {
  return {rotary_case("rotary", {2, 5, 12}, 3, 10000, 0),
          rotary_case("rotary_long", {1, 101, 10}, 1, 10000, 0),
          rotary_case("rotary_later", {2, 33, 4}, 2, 500, 100'000),
          rotary_case("rotary_at_one_position", {2, 71, 12}, 3, 10000, 64, false),
          rotary_case("rotary_one", {1, 1, 66}, 1, 10000, 63)};
}

OP_TEST(RotaryOp, cases());

TEST(RotaryOp, ScoresDependOnTheDistanceOnly) {
  const Tensor q = random_tensor({1, 1, 8}, 1), k = random_tensor({1, 1, 8}, 2);
  const auto score = [&](int64_t at_q, int64_t at_k) {
    const std::vector<double> a = rotary(q, 1, at_q).values<double>();
    const std::vector<double> b = rotary(k, 1, at_k).values<double>();
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  EXPECT_NEAR(score(17, 5), score(1012, 1000), 1e-11);
  EXPECT_GT(std::abs(score(17, 5) - score(17, 6)), 1e-6);
}

TEST(RotaryOp, RefusesOddHeads) {
  EXPECT_THROW(rotary(Tensor::zeros({1, 2, 6}), 2), Error);
  EXPECT_THROW(rotary(Tensor::zeros({2, 6}), 1), Error);
}

}  // namespace
}  // namespace tapestry::test
