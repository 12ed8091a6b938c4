#include "autograd/ops/take_rows.h"

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase rows_case(std::string name, Shape x, int64_t first, int64_t step, int64_t count) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}};
  result.op = [=](const std::vector<Tensor>& in) { return take_rows(in[0], first, step, count); };
  result.reference = [=](const std::vector<Values>& in) {
    const int64_t rows = x[-2], width = x[-1];
    std::vector<double> y;
    for (int64_t b = 0; b < x.size() / (rows * width); ++b) {
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t j = 0; j < width; ++j) y.push_back(in[0][(b * rows + first + i * step) * width + j]);
      }
    }
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {rows_case("chunk_starts", {2, 29, 6}, 8, 8, 3), rows_case("chunk_ends", {2, 29, 6}, 7, 8, 3),
          rows_case("all", {3, 5, 4}, 0, 1, 5), rows_case("last", {2, 5, 3}, 4, 1, 1),
          rows_case("of_a_matrix", {70, 3}, 1, 2, 34)};
}

OP_TEST(TakeRowsOp, cases());

TEST(TakeRows, AddsToAGradientThatIsThere) {
  Tape tape;
  const Tensor x = tape.watch(random_tensor({1, 4, 1}, 1));
  const Tensor some = take_rows(x, 1, 2, 2), all = take_rows(x, 0, 1, 4);
  tape.backward(some, Tensor::from<double>({3, 5}, {1, 2, 1}));
  tape.backward(all, Tensor::from<double>({1, 1, 1, 1}, {1, 4, 1}));
  EXPECT_EQ(tape.gradient(x).values<double>(), (std::vector<double>{1, 4, 1, 6}));
}

TEST(TakeRows, RefusesRowsOutside) {
  const Tensor x = Tensor::zeros({1, 8, 2});
  EXPECT_THROW(take_rows(x, 0, 4, 3), Error);
  EXPECT_THROW(take_rows(x, -1, 1, 1), Error);
  EXPECT_THROW(take_rows(x, 0, 1, 0), Error);
}

}  // namespace
}  // namespace tapestry::test
