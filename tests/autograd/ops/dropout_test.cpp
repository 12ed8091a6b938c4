#include "autograd/ops/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<float> dropped_ones(int64_t n, double p, uint64_t key) {
  Tape tape(key);
  return dropout(Tensor::full({n}, 1), p).values<float>();
}

TEST(Dropout, DropsItsShareAndKeepsTheMean) {
  const int64_t n = 100'001;
  for (double p : {0.1, 0.5, 0.9}) {
    const std::vector<float> y = dropped_ones(n, p, 7);
    const auto dropped = std::count(y.begin(), y.end(), 0.0f);
    EXPECT_NEAR(static_cast<double>(dropped) / n, p, 0.005);
    EXPECT_NEAR(std::accumulate(y.begin(), y.end(), 0.0) / n, 1, 0.05);
    for (float value : y) EXPECT_TRUE(value == 0 || value == static_cast<float>(1 / (1 - p)));
  }
}

TEST(Dropout, IsAFunctionOfKeyAndCall) {
  EXPECT_EQ(dropped_ones(1000, 0.5, 7), dropped_ones(1000, 0.5, 7));
  EXPECT_NE(dropped_ones(1000, 0.5, 7), dropped_ones(1000, 0.5, 8));
  Tape tape(7);
  const Tensor x = Tensor::full({1000}, 1);
  EXPECT_NE(dropout(x, 0.5).values<float>(), dropout(x, 0.5).values<float>());
}

TEST(Dropout, BackwardUsesTheSameMaskAndSavesNothing) {
  for (DType dtype : {DType::float32, DType::float64}) {
    const Tensor x = random_tensor({33, 63}, 1, dtype), dy = random_tensor({33, 63}, 2, dtype);
    Tape tape(5);
    const Tensor watched = tape.watch(x);
    const Tensor y = dropout(watched, 0.3);
    EXPECT_EQ(tape.saved_bytes(), 0);
    tape.backward(y, dy);
    const std::vector<double> in = x.values<double>(), out = y.values<double>(), slope = dy.values<double>();
    const std::vector<double> gradient = tape.gradient(watched).values<double>();
    for (size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(gradient[i] * in[i], slope[i] * out[i], 1e-5);
  }
}

TEST(Dropout, AddsToAGradientThatIsThere) {
  const Tensor x = random_tensor({100}, 1), dy = random_tensor({100}, 2);
  Tape tape(5);
  const Tensor watched = tape.watch(x);
  const Tensor a = dropout(watched, 0.5), b = dropout(watched, 0.5);
  Tensor both = a.detach();
  record("join", {a, b}, both, {}, [](BackwardStep& step) {
    step.add(0, step.gradient());
    step.add(1, step.gradient());
  });
  tape.backward(both, dy);
  const std::vector<double> gradient = tape.gradient(watched).values<double>();
  for (int64_t i = 0; i < 100; ++i) {
    const double kept = (a.values<double>()[i] != 0) + (b.values<double>()[i] != 0);
    EXPECT_DOUBLE_EQ(gradient[i], 2 * kept * dy.values<double>()[i]);
  }
}

TEST(Dropout, IsTheIdentityWithoutATapeOrAProbability) {
  const Tensor x = random_tensor({100}, 1);
  EXPECT_EQ(dropout(x, 0.5).storage(), x.storage());
  Tape tape;
  EXPECT_EQ(dropout(x, 0).storage(), x.storage());
  EXPECT_EQ(tape.next_stream(), 0u);
  EXPECT_THROW(dropout(x, 1), Error);
  EXPECT_THROW(dropout(x, -0.1), Error);
}

}  // namespace
}  // namespace tapestry::test
