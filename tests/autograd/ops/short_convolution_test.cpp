#include "autograd/ops/short_convolution.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> formula(const Values& x, const Values& w) {
  const int64_t tokens = x.shape[1], channels = x.shape[2], taps = w.shape[1];
  std::vector<double> y(x.shape.size(), 0.0);
  for (int64_t i = 0; i < x.shape.size(); ++i) {
    const int64_t channel = i % channels, t = i / channels % tokens;
    for (int64_t j = 0; j < taps; ++j) {
      const int64_t back = taps - 1 - j;
      if (back <= t) y[i] += w[channel * taps + j] * x[i - back * channels];
    }
  }
  return y;
}

OpCase convolution_case(const std::string& name, Shape shape, int64_t taps) {
  OpCase result;
  result.name = "short_convolution_" + name;
  result.inputs = {{shape}, {{shape[2], taps}}};
  result.op = [](const std::vector<Tensor>& in) { return short_convolution(in[0], in[1]); };
  result.reference = [](const std::vector<Values>& in) { return formula(in[0], in[1]); };
  return result;
}

std::vector<OpCase> cases() {
  return {convolution_case("usual", {2, 9, 6}, 4), convolution_case("one_token", {2, 1, 3}, 4),
          convolution_case("shorter_than_taps", {1, 2, 5}, 4), convolution_case("one_tap", {2, 5, 3}, 1),
          convolution_case("several_pieces", {2, 130, 300}, 3)};
}

OP_TEST(ShortConvolutionOp, cases());

TEST(ShortConvolution, RefusesWhatDoesNotFit) {
  expect_error(Exit::usage, "x [1, 2, 3] against w [4, 2]", [] {
    short_convolution(Tensor::zeros({1, 2, 3}), Tensor::zeros({4, 2}));
  });
}

}  // namespace
}  // namespace tapestry::test
