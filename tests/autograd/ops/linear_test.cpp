#include "autograd/ops/linear.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> linear_formula(const std::vector<Values>& in) {
  const Values &x = in[0], &w = in[1];
  const int64_t rows = x.shape.rows(), k = w.shape[0], n = w.shape[1];
  std::vector<double> y(rows * n, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < n; ++j) {
      if (in.size() > 2) y[r * n + j] = in[2][j];
      for (int64_t i = 0; i < k; ++i) y[r * n + j] += x[r * k + i] * w[i * n + j];
    }
  }
  return y;
}

OpCase linear_case(std::string name, Shape x, int64_t n, bool bias) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {{x[-1], n}}};
  if (bias) result.inputs.push_back({{n}});
  result.op = [](const std::vector<Tensor>& in) {
    return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor());
  };
  result.reference = linear_formula;
  return result;
}

std::vector<OpCase> cases() {
  return {linear_case("linear_bias", {2, 3, 5}, 7, true), linear_case("linear", {9, 33}, 17, false),
          linear_case("linear_row", {1, 300}, 70, true), linear_case("linear_column", {63, 1}, 1, true)};
}

OP_TEST(LinearOp, cases());

}  // namespace
}  // namespace tapestry::test
