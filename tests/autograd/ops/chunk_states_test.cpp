#include "autograd/ops/chunk_states.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct Sizes {
  int64_t batch, tokens, n_head, d, e, chunk;
};

std::vector<double> formula(const std::vector<Values>& in, const Sizes& s, double scale) {
  const int64_t finished = (s.tokens - 1) / s.chunk;
  std::vector<double> states;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.n_head; ++h) {
      for (int64_t at = 0; at < finished * s.d * s.e; ++at) {
        const int64_t j = at / (s.d * s.e), key = at / s.e % s.d, value = at % s.e;
        double sum = 0;
        for (int64_t t = j * s.chunk; t < (j + 1) * s.chunk; ++t) {
          const int64_t row = b * s.tokens + t;
          sum += in[0][(row * s.n_head + h) * s.d + key] * in[1][(row * s.n_head + h) * s.e + value];
        }
        states.push_back(scale * sum);
      }
    }
  }
  return states;
}

OpCase states_case(std::string name, Sizes s, double scale) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{{s.batch, s.tokens, s.n_head * s.d}}, {{s.batch, s.tokens, s.n_head * s.e}}};
  result.op = [=](const std::vector<Tensor>& in) {
    return chunk_states(in[0], in[1], s.n_head, s.chunk, scale);
  };
  result.reference = [=](const std::vector<Values>& in) { return formula(in, s, scale); };
  return result;
}

std::vector<OpCase> cases() {
  return {states_case("ragged", {2, 29, 3, 4, 4, 8}, 1), states_case("exact", {2, 24, 2, 5, 3, 8}, 0.125),
          states_case("one_token_left", {1, 9, 2, 4, 4, 4}, 2),
          states_case("keys_only", {2, 13, 3, 5, 1, 4}, 0.25),
          states_case("single_tokens", {1, 7, 1, 3, 3, 1}, 1)};
}

OP_TEST(ChunkStatesOp, cases());

TEST(ChunkStates, RefusesWhatDoesNotFit) {
  const Tensor k = Tensor::zeros({1, 8, 6}), v = Tensor::zeros({1, 8, 6});
  EXPECT_THROW(chunk_states(k, v, 4, 2), Error);
  EXPECT_THROW(chunk_states(k, v, 2, 8), Error);
  EXPECT_THROW(chunk_states(k, Tensor::zeros({1, 7, 6}), 2, 4), Error);
}

}  // namespace
}  // namespace tapestry::test
