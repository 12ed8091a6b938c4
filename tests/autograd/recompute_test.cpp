#include "autograd/recompute.h"

#include <gtest/gtest.h>

#include "autograd/ops/binary.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/unary.h"
#include "autograd/parameter.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct ResidualBlock {
  Parameter up, down;
  explicit ResidualBlock(uint64_t key)
      : up(random_tensor({8, 32}, key, DType::float32, 0.3)),
        down(random_tensor({32, 8}, key + 1, DType::float32, 0.3)) {}
  Tensor operator()(const Tensor& x) const {
    return add(x, dropout(linear(gelu(dropout(linear(x, up), 0.2)), down), 0.2));
  }
};

/// Two blocks, recomputed as one, each recomputed within.
struct Pair {
  const ResidualBlock &first, &second;
  Tensor operator()(const Tensor& x) const { return recompute(second, recompute(first, x)); }
};

enum class Mode { keep, recompute, nested };

struct Result {
  std::vector<float> y, dx;
  std::vector<std::vector<float>> gradients;
  int64_t saved_bytes;
};

Result run(Mode mode, int passes = 1) {
  const ResidualBlock a(10), b(20), c(30);
  const Pair pair{a, b};
  const Tensor x = random_tensor({5, 7, 8}, 1, DType::float32),
               dy = random_tensor({5, 7, 8}, 2, DType::float32);
  Result result;
  for (int pass = 0; pass < passes; ++pass) {
    Tape tape(99 + pass, 3);
    const Tensor watched = tape.watch(x);
    Tensor h = dropout(watched, 0.1);
    if (mode == Mode::keep) h = b(a(h));
    if (mode == Mode::recompute) h = recompute(b, recompute(a, h));
    if (mode == Mode::nested) h = recompute(pair, h);
    const Tensor y = dropout(c(h), 0.5);
    result.saved_bytes = tape.saved_bytes();
    tape.backward(y, dy);
    result.y = y.values<float>();
    result.dx = tape.gradient(watched).values<float>();
  }
  for (const ResidualBlock* block : {&a, &b, &c}) {
    result.gradients.push_back(block->up.gradient().values<float>());
    result.gradients.push_back(block->down.gradient().values<float>());
  }
  return result;
}

void expect_equal(const Result& a, const Result& b) {
  EXPECT_EQ(a.y, b.y);
  EXPECT_EQ(a.dx, b.dx);
  EXPECT_EQ(a.gradients, b.gradients);
}

TEST(Recompute, SameBitsWithFewerBytes) {
  const Result kept = run(Mode::keep), recomputed = run(Mode::recompute);
  expect_equal(kept, recomputed);
  EXPECT_LT(recomputed.saved_bytes, kept.saved_bytes * 2 / 3);
}

TEST(Recompute, Nests) {
  const Result recomputed = run(Mode::recompute), nested = run(Mode::nested);
  expect_equal(run(Mode::keep), nested);
  EXPECT_LT(nested.saved_bytes, recomputed.saved_bytes);
}

TEST(Recompute, ParameterGradientsAddUp) { expect_equal(run(Mode::keep, 3), run(Mode::nested, 3)); }

TEST(Recompute, WithoutATapeItIsTheBlock) {
  const ResidualBlock block(10);
  const Tensor x = random_tensor({2, 8}, 1, DType::float32);
  EXPECT_EQ(recompute(block, x).values<float>(), block(x).values<float>());
}

TEST(Recompute, ReachesParametersThoughTheInputIsConstant) {
  const ResidualBlock block(10);
  Tape tape;
  const Tensor y = recompute(block, random_tensor({2, 8}, 1, DType::float32));
  tape.backward(y, random_tensor({2, 8}, 2, DType::float32));
  EXPECT_TRUE(block.up.has_gradient());
}

}  // namespace
}  // namespace tapestry::test
