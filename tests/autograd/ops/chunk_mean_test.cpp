#include "autograd/ops/chunk_mean.h"

#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase chunk_mean_case(std::string name, Shape x, int64_t chunk) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}};
  result.op = [chunk](const std::vector<Tensor>& in) { return chunk_mean(in[0], chunk); };
  result.reference = [chunk](const std::vector<Values>& in) {
    const int64_t B = in[0].shape[0], T = in[0].shape[1], C = in[0].shape[2], N = (T - 1) / chunk;
    std::vector<double> y(B * N * C, 0.0);
    for (int64_t b = 0; b < B; ++b)
      for (int64_t t = 0; t < N * chunk; ++t)
        for (int64_t c = 0; c < C; ++c)
          y[(b * N + t / chunk) * C + c] += in[0][(b * T + t) * C + c] / static_cast<double>(chunk);
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {chunk_mean_case("chunk_mean", {2, 13, 5}, 4),
          chunk_mean_case("chunk_mean_full_last", {2, 12, 3}, 4),
          chunk_mean_case("chunk_mean_last_of_one", {1, 9, 17}, 4),
          chunk_mean_case("chunk_mean_of_one", {2, 7, 3}, 1)};
}

OP_TEST(ChunkMean, cases());

TEST(ChunkMean, HasNoChunkBeforeOneIsFinished) {
  Tape tape;
  const Tensor x = tape.watch(random_tensor({2, 4, 3}, 1));
  const Tensor y = chunk_mean(x, 4);
  EXPECT_EQ(y.shape(), (Shape{2, 0, 3}));
  tape.backward(y, Tensor::empty_like(y));
  for (double gradient : tape.gradient(x).values<double>()) EXPECT_EQ(gradient, 0);
}

}  // namespace
}  // namespace tapestry::test
