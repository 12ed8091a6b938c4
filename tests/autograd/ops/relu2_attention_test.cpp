#include "autograd/ops/relu2_attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct Sizes {
  int64_t batch, tokens, width, value_width, chunk;
};

std::vector<double> formula(const std::vector<Values>& in, const Sizes& s, double scale) {
  std::vector<double> o(s.batch * s.tokens * s.value_width, 0.0);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t t = 0; t < s.tokens; ++t) {
      for (int64_t i = t / s.chunk * s.chunk; i <= t; ++i) {
        const int64_t query = b * s.tokens + t, key = b * s.tokens + i;
        double score = in.size() > 3 ? in[3][t - i] : 0;
        for (int64_t j = 0; j < s.width; ++j)
          score += scale * in[0][query * s.width + j] * in[1][key * s.width + j];
        const double weight = std::max(score, 0.0) * std::max(score, 0.0);
        for (int64_t j = 0; j < s.value_width; ++j)
          o[query * s.value_width + j] += weight * in[2][key * s.value_width + j];
      }
    }
  }
  return o;
}

OpCase relu2_case(std::string name, Sizes s, double scale, bool bias) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {
      {{s.batch, s.tokens, s.width}}, {{s.batch, s.tokens, s.width}}, {{s.batch, s.tokens, s.value_width}}};
  if (bias) result.inputs.push_back({{s.chunk}});
  result.op = [=](const std::vector<Tensor>& in) {
    return relu2_attention(in[0], in[1], in[2], bias ? in[3] : Tensor(), s.chunk, scale);
  };
  result.reference = [=](const std::vector<Values>& in) { return formula(in, s, scale); };
  // The second derivative jumps where a score is 0, and differences across the jump are off by up to h.
  result.gradient_tolerance = 3e-4;
  return result;
}

/// All scores are positive, where the function is smooth.
OpCase smooth_case(std::string name, Sizes s, double scale) {
  OpCase result = relu2_case(std::move(name), s, scale, true);
  for (Input& input : result.inputs) input.kind = Input::Kind::positive;
  result.gradient_tolerance = 1e-6;
  return result;
}

std::vector<OpCase> cases() {
  return {relu2_case("ragged", {2, 29, 5, 7, 8}, 0.3, false),
          relu2_case("bias", {2, 29, 5, 7, 8}, 0.3, true),
          relu2_case("whole_chunks", {1, 24, 4, 6, 8}, 1, true),
          relu2_case("chunk_beyond_the_sequence", {2, 6, 3, 4, 20}, 0.5, false),
          relu2_case("bias_beyond_the_sequence", {2, 6, 3, 4, 20}, 0.5, true),
          relu2_case("single_tokens", {2, 5, 3, 4, 1}, 0.7, true),
          relu2_case("one_token", {1, 1, 3, 4, 8}, 0.7, false),
          relu2_case("several_tiles_a_chunk", {1, 330, 3, 2, 300}, 0.4, true),
          smooth_case("positive_scores", {2, 29, 5, 7, 8}, 0.3),
          smooth_case("positive_scores_of_several_tiles", {1, 330, 3, 2, 300}, 0.1)};
}

OP_TEST(Relu2AttentionOp, cases());

TEST(Relu2Attention, RowsWithoutPositiveScoresAreZeroAndGetNoGradient) {
  Tape tape;
  const Tensor q = tape.watch(Tensor::full({1, 2, 1}, 1)), k = tape.watch(Tensor::full({1, 2, 1}, -1));
  const Tensor o = relu2_attention(q, k, Tensor::full({1, 2, 3}, 1), {}, 2, 1);
  EXPECT_EQ(o.values<float>(), std::vector<float>(6, 0.0f));
  tape.backward(o, Tensor::full(o.shape(), 1));
  EXPECT_EQ(tape.gradient(q).values<float>(), std::vector<float>(2, 0.0f));
  EXPECT_EQ(tape.gradient(k).values<float>(), std::vector<float>(2, 0.0f));
}

TEST(Relu2Attention, TakesOneTensorForQueriesKeysAndValues) {
  OpCase same = relu2_case("", {2, 13, 4, 4, 5}, 1, false);
  same.inputs.resize(1);
  same.op = [](const std::vector<Tensor>& in) { return relu2_attention(in[0], in[0], in[0], {}, 5, 1); };
  expect_gradient(same);
}

TEST(Relu2Attention, RefusesWhatDoesNotFit) {
  const Tensor q = Tensor::zeros({1, 8, 6}), v = Tensor::zeros({1, 8, 10});
  EXPECT_THROW(relu2_attention(q, Tensor::zeros({1, 8, 5}), v, {}, 4, 1), Error);
  EXPECT_THROW(relu2_attention(q, q, Tensor::zeros({1, 7, 10}), {}, 4, 1), Error);
  EXPECT_THROW(relu2_attention(q, q, v, Tensor::zeros({8}), 4, 1), Error);
  EXPECT_THROW(relu2_attention(q, q, v, {}, 0, 1), Error);
}

}  // namespace
}  // namespace tapestry::test
