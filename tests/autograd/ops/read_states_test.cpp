#include "autograd/ops/read_states.h"

#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct Sizes {
  int64_t batch, tokens, n_head, d, e, chunk;
  int64_t finished() const { return (tokens - 1) / chunk; }
};

std::vector<double> formula(const std::vector<Values>& in, const Sizes& s, double scale) {
  std::vector<double> u;
  for (int64_t at = 0; at < s.batch * s.tokens * s.n_head * s.e; ++at) {
    const int64_t value = at % s.e, h = at / s.e % s.n_head, row = at / (s.e * s.n_head);
    const int64_t b = row / s.tokens, n = row % s.tokens / s.chunk;
    double sum = 0;
    for (int64_t key = 0; key < s.d && n > 0; ++key) {
      const int64_t state = (b * s.n_head + h) * s.finished() + n - 1;
      sum += in[0][(row * s.n_head + h) * s.d + key] * in[1][(state * s.d + key) * s.e + value];
    }
    u.push_back(scale * sum);
  }
  return u;
}

OpCase read_case(std::string name, Sizes s, double scale) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{{s.batch, s.tokens, s.n_head * s.d}}, {{s.batch, s.n_head, s.finished(), s.d, s.e}}};
  result.op = [=](const std::vector<Tensor>& in) { return read_states(in[0], in[1], s.chunk, scale); };
  result.reference = [=](const std::vector<Values>& in) { return formula(in, s, scale); };
  return result;
}

std::vector<OpCase> cases() {
  return {read_case("ragged", {2, 29, 3, 4, 4, 8}, 0.5), read_case("exact", {2, 24, 2, 5, 3, 8}, 1),
          read_case("one_token_reads", {2, 9, 2, 4, 4, 8}, 2),
          read_case("denominators", {2, 13, 3, 5, 1, 4}, 1),
          read_case("single_tokens", {1, 7, 1, 3, 3, 1}, 1)};
}

OP_TEST(ReadStatesOp, cases());

TEST(ReadStates, RefusesWhatDoesNotFit) {
  const Tensor q = Tensor::zeros({1, 9, 6});
  EXPECT_THROW(read_states(q, Tensor::zeros({1, 2, 1, 3, 3}), 4), Error);
  EXPECT_THROW(read_states(q, Tensor::zeros({1, 2, 2, 2, 3}), 4), Error);
}

}  // namespace
}  // namespace tapestry::test
