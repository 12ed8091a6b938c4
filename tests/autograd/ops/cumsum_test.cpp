#include "autograd/ops/cumsum.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> formula(const Values& x, int axis) {
  int64_t inner = 1;
  for (int i = axis + 1; i < x.shape.rank(); ++i) inner *= x.shape[i];
  std::vector<double> y = x.data;
  for (int64_t i = 0; i < x.shape.size(); ++i) {
    for (int64_t n = 1; n <= i / inner % x.shape[axis]; ++n) y[i] += x[i - n * inner];
  }
  return y;
}

OpCase cumsum_case(std::string name, Shape shape, int axis) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{shape}};
  result.op = [=](const std::vector<Tensor>& in) { return cumsum(in[0], axis); };
  result.reference = [=](const std::vector<Values>& in) {
    return formula(in[0], axis < 0 ? axis + shape.rank() : axis);
  };
  return result;
}

std::vector<OpCase> cases() {
  return {cumsum_case("states", {2, 3, 5, 3, 4}, 2), cumsum_case("first_axis", {7, 6}, 0),
          cumsum_case("last_axis", {3, 9}, -1), cumsum_case("one_term", {2, 1, 5}, 1),
          cumsum_case("several_pieces", {1, 2, 16390}, 1)};
}

OP_TEST(CumsumOp, cases());

TEST(Cumsum, RefusesAnAxisThatIsNotThere) {
  EXPECT_THROW(cumsum(Tensor::zeros({2, 3}), 2), Error);
  EXPECT_THROW(cumsum(Tensor::zeros({2, 3}), -3), Error);
}

}  // namespace
}  // namespace tapestry::test
