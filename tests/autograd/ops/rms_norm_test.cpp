#include "autograd/ops/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase norm_case(std::string name, Shape x, Shape gain, double eps) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {gain}};
  result.op = [=](const std::vector<Tensor>& in) { return rms_norm(in[0], in[1], eps); };
  result.reference = [=](const std::vector<Values>& in) {
    const int64_t n = gain[-1];
    std::vector<double> y(x.size());
    for (int64_t piece = 0; piece < x.size() / n; ++piece) {
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) squares += in[0][piece * n + i] * in[0][piece * n + i];
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = piece * n + i;
        y[at] = in[0][at] / std::sqrt(squares / n + eps) * in[1][at % gain.size()];
      }
    }
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {norm_case("heads", {2, 29, 12}, {3, 4}, 1e-6), norm_case("shared", {2, 5, 12}, {4}, 1e-5),
          norm_case("rows", {7, 33}, {33}, 0.1), norm_case("many_pieces", {150, 6}, {2, 3}, 1e-6),
          norm_case("single", {130, 1}, {1}, 0.5)};
}

OP_TEST(RmsNormOp, cases());

TEST(RmsNorm, ZeroStaysZero) {
  EXPECT_EQ(rms_norm(Tensor::zeros({1, 2}), Tensor::full({2}, 3), 1e-6).values<double>(),
            (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace tapestry::test
