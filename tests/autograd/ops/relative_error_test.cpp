#include "autograd/ops/relative_error.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase error_case(std::string name, Shape shape) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{shape}, {shape, Input::Kind::normal, 0, 1, false}};
  result.op = [](const std::vector<Tensor>& in) { return relative_error(in[0], in[1]); };
  result.reference = [](const std::vector<Values>& in) {
    double missed = 0, all = 0;
    for (size_t i = 0; i < in[0].data.size(); ++i) {
      missed += (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]);
      all += in[1][i] * in[1][i];
    }
    return std::vector<double>{missed / all};
  };
  return result;
}

std::vector<OpCase> cases() {
  return {error_case("small", {2, 3, 5}), error_case("pieces", {3, 5461}), error_case("one", {1})};
}

OP_TEST(RelativeError, cases());

TEST(RelativeError, RefusesWhatHasNoMeasure) {
  EXPECT_THROW(relative_error(Tensor::zeros({3}), Tensor::zeros({3})), Error);
  EXPECT_THROW(relative_error(Tensor::zeros({3}), Tensor::full({2}, 1)), Error);
}

}  // namespace
}  // namespace tapestry::test
