#include "autograd/ops/scale_heads.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase scale_case(std::string name, Shape x, int64_t n_head) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {{n_head}}};
  result.op = [](const std::vector<Tensor>& in) { return scale_heads(in[0], in[1]); };
  result.reference = [=](const std::vector<Values>& in) {
    std::vector<double> y;
    for (int64_t i = 0; i < x.size(); ++i) y.push_back(in[0][i] * in[1][i % x[-1] / (x[-1] / n_head)]);
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {scale_case("heads", {2, 29, 12}, 3), scale_case("one_head", {5, 4}, 1),
          scale_case("many_rows", {150, 6}, 2)};
}

OP_TEST(ScaleHeadsOp, cases());

}  // namespace
}  // namespace tapestry::test
