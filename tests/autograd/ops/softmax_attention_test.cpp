#include "autograd/ops/softmax_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/tape.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

/// ATTENTION section 0.3, row by row.
std::vector<double> naive(const Values& q, const Values& k, const Values& v, int64_t n_head, double scale,
                          const Visible& visible) {
  const int64_t batch = q.shape[0], tokens = q.shape[1], width = q.shape[2], d = width / n_head;
  std::vector<double> o(q.shape.size(), 0.0);
  for (int64_t row = 0; row < batch * tokens * n_head; ++row) {
    const int64_t h = row % n_head, t = row / n_head % tokens, b = row / n_head / tokens;
    const auto at = [&](int64_t i, int64_t j) { return (b * tokens + i) * width + h * d + j; };
    std::vector<double> weights(t + 1, 0.0);
    double sum = 0;
    for (int64_t i = 0; i <= t; ++i) {
      if (i < t / visible.chunk * visible.chunk - visible.reach && i >= visible.sink) continue;
      double score = 0;
      for (int64_t j = 0; j < d; ++j) score += q[at(t, j)] * k[at(i, j)];
      sum += weights[i] = std::exp(scale * score);
    }
    for (int64_t i = 0; i <= t; ++i) {
      for (int64_t j = 0; j < d; ++j) o[at(t, j)] += weights[i] / sum * v[at(i, j)];
    }
  }
  return o;
}

OpCase attention_case(std::string name, Shape shape, int64_t n_head, Visible visible) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{shape}, {shape}, {shape}};
  const double scale = 0.7;
  result.op = [=](const std::vector<Tensor>& in) {
    return softmax_attention(in[0], in[1], in[2], n_head, scale, visible);
  };
  result.reference = [=](const std::vector<Values>& in) {
    return naive(in[0], in[1], in[2], n_head, scale, visible);
  };
  return result;
}

/// One tensor as keys and values.
OpCase shared_case() {
  OpCase result = attention_case("attention_keys_are_values", {1, 70, 6}, 2, {});
  result.inputs.pop_back();
  result.op = [](const std::vector<Tensor>& in) { return softmax_attention(in[0], in[1], in[1], 2, 0.7); };
  result.reference = [](const std::vector<Values>& in) { return naive(in[0], in[1], in[1], 2, 0.7, {}); };
  return result;
}

// Lengths on both sides of the tiles, which hold 64 queries and 256 or 512 keys.
std::vector<OpCase> cases() {
  return {
      attention_case("attention_one_token", {2, 1, 6}, 3, {}),
      attention_case("attention_63", {2, 63, 8}, 2, {}), attention_case("attention_129", {1, 129, 6}, 2, {}),
      attention_case("attention_300", {1, 300, 8}, 1, {}),
      attention_case("attention_window", {1, 300, 8}, 2, {.reach = 36}),
      attention_case("attention_window_of_one", {1, 40, 4}, 1, {.reach = 0}),
      attention_case("attention_window_sink", {1, 290, 4}, 1, {.reach = 20, .sink = 5}),
      attention_case("attention_long_sink", {1, 290, 4}, 1, {.reach = 3, .sink = 270}),
      attention_case("attention_chunk", {2, 100, 8}, 2, {.chunk = 16, .reach = 0}),
      attention_case("attention_chunk_overlap", {1, 300, 4}, 1, {.chunk = 48, .reach = 30, .sink = 7}),
      // The first tile of keys is hidden from some rows of a tile of queries.
      attention_case("attention_chunk_starts_in_tile", {1, 620, 4}, 1, {.chunk = 600, .reach = 0}),
      shared_case(), attention_case("attention_chunk_longer", {1, 70, 4}, 1, {.chunk = 1000, .reach = 0})};
}

OP_TEST(SoftmaxAttentionOp, cases());

struct Results {
  std::vector<float> o, dq, dk, dv;
  bool operator==(const Results&) const = default;
};

Results run(Shape shape, int64_t n_head, Visible visible) {
  Tape tape;
  const Tensor q = tape.watch(random_tensor(shape, 1, DType::float32)),
               k = tape.watch(random_tensor(shape, 2, DType::float32)),
               v = tape.watch(random_tensor(shape, 3, DType::float32));
  const Tensor o = softmax_attention(q, k, v, n_head, 0.5, visible);
  tape.backward(o, random_tensor(shape, 4, DType::float32));
  return {o.values<float>(), tape.gradient(q).values<float>(), tape.gradient(k).values<float>(),
          tape.gradient(v).values<float>()};
}

TEST(SoftmaxAttention, BitsDoNotDependOnTheNumberOfThreads) {
  expect_same_for_any_threads([] { return run({1, 50, 32}, 1, {}); });
  expect_same_for_any_threads([] { return run({1, 1300, 16}, 1, {}); });
  expect_same_for_any_threads([] { return run({2, 600, 24}, 3, {.chunk = 64, .reach = 20, .sink = 3}); });
}

TEST(SoftmaxAttention, MemoryIsLinearInTokens) {
  const int64_t tokens = 4096, before = pool_stats(Device::cpu()).in_use;
  pool_reset_peak(Device::cpu());
  run({1, tokens, 8}, 1, {});
  EXPECT_LT(pool_stats(Device::cpu()).peak - before, tokens * tokens);  // a quarter of the scores
}

TEST(SoftmaxAttention, RefusesShapesThatDoNotFit) {
  const Tensor x = random_tensor({1, 4, 6}, 1);
  expect_error(Exit::usage, "4 heads do not divide width 6", [&] { softmax_attention(x, x, x, 4, 1); });
  expect_error(Exit::usage, "k [1, 5, 6]", [&] {
    softmax_attention(x, random_tensor({1, 5, 6}, 1), x, 2, 1);
  });
  expect_error(Exit::usage, "v float32", [&] { softmax_attention(x, x, x.to(DType::float32), 2, 1); });
  expect_error(Exit::usage, "a chunk of 0", [&] { softmax_attention(x, x, x, 2, 1, {.chunk = 0}); });
}

}  // namespace
}  // namespace tapestry::test
