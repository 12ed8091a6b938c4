#include "autograd/ops/retrieve_states.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/pool.h"
#include "autograd/tape.h"
#include "tests/support/in_bf16.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct Sizes {
  int64_t batch, chunks, n_head, d, state;
  double scale;
  int64_t topk = retrieve_all;
};

/// The weights of row n - 1, by the definition: keep the topk of largest s_nj + 1e-5 j, later ones first.
std::vector<double> row_of_weights(const Values& r, const Values& h, const Sizes& s, int64_t b, int64_t head,
                                   int64_t row) {
  std::vector<double> score(row + 1, 0.0), weight(row + 1, 0.0);
  const auto at = [&](int64_t chunk, int64_t i) {
    return ((b * s.chunks + chunk) * s.n_head + head) * s.d + i;
  };
  for (int64_t j = 0; j <= row; ++j) {
    for (int64_t i = 0; i < s.d; ++i) score[j] += s.scale * r[at(row, i)] * h[at(j, i)];
  }
  std::vector<int64_t> order(row + 1);
  for (int64_t j = 0; j <= row; ++j) order[j] = row - j;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return score[a] + 1e-5 * a > score[b] + 1e-5 * b; });
  if (s.topk < row + 1) order.resize(s.topk);
  double sum = 0;
  for (int64_t j : order) sum += std::exp(score[j]);
  for (int64_t j : order) weight[j] = std::exp(score[j]) / sum;
  return weight;
}

std::vector<double> formula(const std::vector<Values>& in, const Sizes& s) {
  std::vector<double> mixed;
  for (int64_t at = 0; at < s.batch * s.n_head * s.chunks; ++at) {
    const int64_t row = at % s.chunks, head = at / s.chunks % s.n_head, b = at / (s.chunks * s.n_head);
    const std::vector<double> weight = row_of_weights(in[0], in[1], s, b, head, row);
    for (int64_t i = 0; i < s.state; ++i) {
      double sum = 0;
      for (int64_t j = 0; j <= row; ++j) sum += weight[j] * in[2][(at - row + j) * s.state + i];
      mixed.push_back(sum);
    }
  }
  return mixed;
}

OpCase retrieve_case(std::string name, Sizes s) {
  OpCase result;
  result.name = std::move(name);
  const Shape vectors{s.batch, s.chunks, s.n_head * s.d};
  result.inputs = {{vectors}, {vectors}, {{s.batch, s.n_head, s.chunks, s.state}}};
  result.op = [=](const std::vector<Tensor>& in) {
    return retrieve_states(in[0], in[1], in[2], s.scale, s.topk);
  };
  result.reference = [=](const std::vector<Values>& in) { return formula(in, s); };
  return result;
}

std::vector<OpCase> cases() {
  return {retrieve_case("all", {2, 7, 3, 4, 6, 0.5}),
          retrieve_case("one_chunk", {2, 1, 2, 3, 4, 0.5}),
          retrieve_case("several_blocks", {1, 131, 2, 3, 2, 0.7}),
          retrieve_case("top1", {2, 6, 2, 4, 3, 0.5, 1}),
          retrieve_case("top3", {2, 9, 2, 4, 3, 0.5, 3}),
          retrieve_case("top_many", {1, 6, 2, 4, 3, 0.5, 6}),
          retrieve_case("top2_blocks", {1, 67, 1, 4, 2, 1, 2})};
}

OP_TEST(RetrieveStatesOp, cases());

TEST(RetrieveStates, TiesGoToTheLaterChunk) {
  const Tensor same = Tensor::full({1, 4, 2}, 1);
  const Tensor states = Tensor::from<float>({1, 2, 3, 4}, {1, 1, 4, 1});
  EXPECT_EQ(retrieve_states(same, same, states, 1, 1).values<double>(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(retrieve_states(same, same, states, 1, 2).values<double>(),
            (std::vector<double>{1, 1.5, 2.5, 3.5}));
}

TEST(RetrieveStates, WhatRoundingMakesOfATieGoesToTheLaterChunk) {
  const Tensor r = Tensor::full({1, 2, 1}, 1, DType::float64);
  const Tensor states = Tensor::from<double>({1, 2}, {1, 1, 2, 1});
  const auto picked = [&](double ahead) {
    return retrieve_states(r, Tensor::from<double>({1 + ahead, 1}, {1, 2, 1}), states, 1, 1)
        .values<double>()[1];
  };
  EXPECT_EQ(picked(0.9e-5), 2);
  EXPECT_EQ(picked(1.1e-5), 1);
}

TEST(RetrieveStates, ShowsANanAmongTheScores) {
  std::vector<double> h(40, 1.0);
  h[7] = NAN;
  const Tensor r = Tensor::full({1, 40, 1}, 1, DType::float64);
  const Tensor states = Tensor::full({1, 1, 40, 1}, 1, DType::float64);
  const std::vector<double> mixed =
      retrieve_states(r, Tensor::from(h, {1, 40, 1}), states, 1, 2).values<double>();
  for (int64_t row = 0; row < 40; ++row) EXPECT_EQ(std::isnan(mixed[row]), row >= 7) << row;
}

TEST(RetrieveStates, NeverHoldsAllScores) {
  constexpr int64_t chunks = 1024;
  const Tensor vectors = random_tensor({1, chunks, 2}, 1, DType::float32);
  const Tensor states = random_tensor({1, 1, chunks, 2}, 2, DType::float32);
  Tape tape;
  const Tensor r = tape.watch(vectors), h = tape.watch(vectors.clone()), f = tape.watch(states);
  pool_reset_peak(Device::cpu());
  const int64_t before = pool_stats(Device::cpu()).in_use;
  const Tensor mixed = retrieve_states(r, h, f, 1);
  EXPECT_EQ(tape.saved_bytes(), r.bytes() + h.bytes() + f.bytes());
  tape.backward(mixed, states);
  EXPECT_LT(pool_stats(Device::cpu()).peak - before, chunks * chunks * 4 / 4);
}

// Rounded to bfloat16, some of these scores come in another order. State j holds the number j.
TEST(RetrieveStates, ChoosesInFloat32WhateverThePrecision) {
  SKIP_WITHOUT_BF16();
  constexpr int64_t chunks = 1500, width = 64;
  const Tensor r = random_tensor({1, chunks, width}, 1, DType::float32),
               h = random_tensor({1, chunks, width}, 2, DType::float32);
  std::vector<float> numbers;
  for (int64_t j = 0; j < chunks; ++j) numbers.insert(numbers.end(), 4, static_cast<float>(j));
  const Tensor states = Tensor::from(numbers, {1, 1, chunks, 4});
  const auto chosen = [&] { return retrieve_states(r, h, states, 0.125, 1).values<float>(); };
  const auto exact = chosen();
  const InBf16 precision;
  EXPECT_EQ(chosen(), exact);
}

TEST(RetrieveStates, RefusesWhatDoesNotFit) {
  const Tensor r = Tensor::zeros({1, 3, 4});
  EXPECT_THROW(retrieve_states(r, Tensor::zeros({1, 2, 4}), Tensor::zeros({1, 2, 3, 5}), 1), Error);
  EXPECT_THROW(retrieve_states(r, r, Tensor::zeros({1, 2, 4, 5}), 1), Error);
  EXPECT_THROW(retrieve_states(r, r, Tensor::zeros({1, 2, 3, 5}), 1, 0), Error);
}

}  // namespace
}  // namespace tapestry::test
