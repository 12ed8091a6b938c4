#include "autograd/ops/linear_attention.h"

#include <gtest/gtest.h>

#include "autograd/ops/binary.h"
#include "autograd/ops/chunk_states.h"
#include "autograd/ops/cumsum.h"
#include "autograd/ops/read_states.h"
#include "autograd/tape.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

/// The recurrent form of ATTENTION section 3.1.
std::vector<double> naive(const Values& q, const Values& k, const Values& v, const LinearAttention& options) {
  const int64_t batch = q.shape[0], tokens = q.shape[1], heads = options.n_head, d = q.shape[2] / heads,
                e = v.shape[2] / heads;
  std::vector<double> o(v.shape.size());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      std::vector<double> state(d * e, 0.0), sums(d, 0.0);
      for (int64_t t = 0; t < tokens; ++t) {
        const int64_t keys = ((b * tokens + t) * heads + h) * d, values = ((b * tokens + t) * heads + h) * e;
        double den = options.eps;
        for (int64_t i = 0; i < d; ++i) {
          for (int64_t j = 0; j < e; ++j) state[i * e + j] += k[keys + i] * v[values + j];
          sums[i] += k[keys + i];
          den += q[keys + i] * sums[i];
        }
        for (int64_t j = 0; j < e; ++j) {
          double sum = 0;
          for (int64_t i = 0; i < d; ++i) sum += q[keys + i] * state[i * e + j];
          o[values + j] = options.normalise ? sum / den : options.scale * sum;
        }
      }
    }
  }
  return o;
}

struct Sizes {
  int64_t batch, tokens, n_head, d, e, chunk;
};

OpCase linear_case(const std::string& name, Sizes s, bool normalise, double eps = 0.1) {
  const LinearAttention options{s.n_head, s.chunk, normalise, eps, 0.3};
  const Shape keys{s.batch, s.tokens, s.n_head * s.d};
  // The denominators are sums of positive numbers.
  const auto kind = normalise ? Input::Kind::positive : Input::Kind::normal;
  OpCase result;
  result.name = "linear_attention_" + name;
  result.inputs = {{keys, kind}, {keys, kind}, {{s.batch, s.tokens, s.n_head * s.e}}};
  result.op = [=](const std::vector<Tensor>& in) { return linear_attention(in[0], in[1], in[2], options); };
  result.reference = [=](const std::vector<Values>& in) { return naive(in[0], in[1], in[2], options); };
  return result;
}

std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (const bool normalise : {true, false}) {
    const auto add = [&](const std::string& name, Sizes s) {
      all.push_back(linear_case(name + (normalise ? "_normalised" : ""), s, normalise));
    };
    add("ragged", {2, 29, 3, 4, 4, 8});
    add("exact", {1, 24, 2, 5, 3, 8});
    add("one_token", {2, 1, 2, 3, 3, 8});
    add("one_token_left", {1, 9, 2, 4, 5, 4});
    add("shorter_than_a_chunk", {1, 63, 1, 4, 4, 64});
    add("long", {1, 200, 1, 8, 8, 64});
    add("single_tokens", {1, 7, 2, 3, 3, 1});
  }
  all.push_back(linear_case("small_eps", {1, 20, 2, 4, 4, 8}, true, 1e-6));
  return all;
}

OP_TEST(LinearAttentionOp, cases());

struct Results {
  std::vector<float> o, dq, dk, dv;
  bool operator==(const Results&) const = default;
};

Results run(Shape shape, const LinearAttention& options) {
  OpCase positive;
  positive.inputs = {{shape, Input::Kind::positive}, {shape, Input::Kind::positive}, {shape}};
  std::vector<Tensor> in = make_inputs(positive, DType::float32);
  Tape tape;
  for (Tensor& x : in) x = tape.watch(x);
  const Tensor o = linear_attention(in[0], in[1], in[2], options);
  tape.backward(o, random_tensor(shape, 4, DType::float32));
  return {o.values<float>(), tape.gradient(in[0]).values<float>(), tape.gradient(in[1]).values<float>(),
          tape.gradient(in[2]).values<float>()};
}

TEST(LinearAttention, ReadsAndGradientsAreThoseOfTheComposedForm) {
  const Shape shape{2, 50, 6};
  const Tensor dy = random_tensor(shape, 9);
  const auto gradients = [&](bool composed) {
    Tape tape;
    std::vector<Tensor> in;
    for (uint64_t key = 1; key <= 3; ++key) in.push_back(tape.watch(random_tensor(shape, key)));
    // Chunks of one token: what a token reads of the past is all in the state, apart from its own value.
    const Tensor states = cumsum(chunk_states(in[1], in[2], 2, 1), 2);
    const Tensor own = linear_attention(in[0].reshape({100, 1, 6}), in[1].reshape({100, 1, 6}),
                                        in[2].reshape({100, 1, 6}), {2, 1, false, 0, 0.5});
    const Tensor y = composed ? add(read_states(in[0], states, 1, 0.5), own.reshape(shape))
                              : linear_attention(in[0], in[1], in[2], {2, 8, false, 0, 0.5});
    tape.backward(y, dy);
    std::vector<double> all = y.values<double>();
    for (const Tensor& x : in) {
      const std::vector<double> gradient = tape.gradient(x).values<double>();
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    return all;
  };
  EXPECT_LE(difference(gradients(false), gradients(true)), 1e-13);
}

TEST(LinearAttention, ChunksLongerThanTheSequenceTakeNoMoreMemory) {
  const Shape shape{1, 10, 4};
  const int64_t before = pool_stats(Device::cpu()).in_use;
  pool_reset_peak(Device::cpu());
  run(shape, {.n_head = 1, .chunk = int64_t{1} << 40});
  EXPECT_LT(pool_stats(Device::cpu()).peak - before, 1 << 20);
}

TEST(LinearAttention, MemoryIsLinearInTokens) {
  const int64_t tokens = 8192, before = pool_stats(Device::cpu()).in_use;
  pool_reset_peak(Device::cpu());
  run({1, tokens, 8}, {.n_head = 1, .chunk = 64});
  EXPECT_LT(pool_stats(Device::cpu()).peak - before, tokens * 1000);
}

TEST(LinearAttention, BitsDoNotDependOnTheNumberOfThreads) {
  expect_same_for_any_threads([] { return run({1, 600, 24}, {.n_head = 3, .chunk = 64}); });
}

// ATTENTION section 3, pitfall (i): one sum over all tokens would lose digits.
TEST(LinearAttention, LongSumsKeepTheirDigits) {
  const Shape shape{1, 60000, 1};
  const Tensor q = Tensor::full(shape, 1), k = Tensor::full(shape, 0.1), v = Tensor::full(shape, 0.7);
  const std::vector<float> o =
      linear_attention(q, k, v, {.n_head = 1, .chunk = 64, .normalise = false}).values<float>();
  EXPECT_NEAR(o.back() / (60000 * 0.07), 1, 5e-6);
}

TEST(LinearAttention, RefusesWhatDoesNotFit) {
  const Tensor x = random_tensor({1, 4, 6}, 1);
  expect_error(Exit::usage, "4 heads", [&] { linear_attention(x, x, x, {.n_head = 4, .chunk = 2}); });
  expect_error(Exit::usage, "k [1, 5, 6]", [&] {
    linear_attention(x, random_tensor({1, 5, 6}, 1), x, {.n_head = 2, .chunk = 2});
  });
  expect_error(Exit::usage, "chunks of 0", [&] { linear_attention(x, x, x, {.n_head = 2, .chunk = 0}); });
}

}  // namespace
}  // namespace tapestry::test
