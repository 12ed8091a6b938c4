#include "autograd/ops/divide_heads.h"

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase divide_case(std::string name, Shape x, int64_t n_head, double eps) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {.shape = x.with_last(n_head), .kind = Input::Kind::positive, .scale = 4}};
  result.op = [=](const std::vector<Tensor>& in) { return divide_heads(in[0], in[1], eps); };
  result.reference = [=](const std::vector<Values>& in) {
    std::vector<double> y;
    for (int64_t i = 0; i < x.size(); ++i) y.push_back(in[0][i] / (in[1][i / (x[-1] / n_head)] + eps));
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {divide_case("heads", {2, 29, 12}, 3, 0.25), divide_case("one_head", {5, 4}, 1, 1),
          divide_case("many_rows", {300, 6}, 2, 0.5)};
}

OP_TEST(DivideHeadsOp, cases());

TEST(DivideHeads, NothingReadIsZero) {
  Tape tape;
  const Tensor x = tape.watch(Tensor::from<double>({0, 0, 6, 8}, {2, 2}));
  const Tensor den = tape.watch(Tensor::from<double>({0, 2}, {2, 1}));
  const Tensor y = divide_heads(x, den, 0);
  EXPECT_EQ(y.values<double>(), (std::vector<double>{0, 0, 3, 4}));
  tape.backward(y, Tensor::full({2, 2}, 1, DType::float64));
  EXPECT_EQ(tape.gradient(x).values<double>(), (std::vector<double>{0, 0, 0.5, 0.5}));
  EXPECT_EQ(tape.gradient(den).values<double>(), (std::vector<double>{0, -3.5}));
}

}  // namespace
}  // namespace tapestry::test
