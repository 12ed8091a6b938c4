#include "autograd/ops/delta_rule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/l2_norm.h"
#include "autograd/tape.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

struct Sizes {
  int64_t batch, tokens, n_head, d, e, chunk;
};

/// The recurrent form of ATTENTION section 4.1, one token and head.
void step(const double* q, const double* k, const double* v, double beta, double scale, int64_t d, int64_t e,
          std::vector<double>& state, double* o) {
  for (int64_t j = 0; j < e; ++j) {
    double held = 0;
    for (int64_t i = 0; i < d; ++i) held += k[i] * state[i * e + j];
    for (int64_t i = 0; i < d; ++i) state[i * e + j] += k[i] * beta * (v[j] - held);
    o[j] = 0;
    for (int64_t i = 0; i < d; ++i) o[j] += scale * q[i] * state[i * e + j];
  }
}

std::vector<double> naive(const std::vector<Values>& in, int64_t n_head, double scale) {
  const Values &q = in[0], &k = in[1], &v = in[2], &beta = in[3];
  const int64_t batch = q.shape[0], tokens = q.shape[1], d = q.shape[2] / n_head, e = v.shape[2] / n_head;
  std::vector<double> o(v.shape.size());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < n_head; ++h) {
      std::vector<double> state(d * e, 0.0);
      for (int64_t t = 0; t < tokens; ++t) {
        const int64_t at = (b * tokens + t) * n_head + h;
        step(&q.data[at * d], &k.data[at * d], &v.data[at * e], beta[at], scale, d, e, state, &o[at * e]);
      }
    }
  }
  return o;
}

OpCase delta_case(const std::string& name, Sizes s, double key_size = 0.4) {
  const Shape keys{s.batch, s.tokens, s.n_head * s.d};
  OpCase result;
  result.name = "delta_rule_" + name;
  result.inputs = {{keys},
                   {.shape = keys, .scale = key_size},
                   {{s.batch, s.tokens, s.n_head * s.e}},
                   {{s.batch, s.tokens, s.n_head}, Input::Kind::positive}};
  result.op = [=](const std::vector<Tensor>& in) {
    return delta_rule(in[0], in[1], in[2], in[3], s.n_head, s.chunk, 0.6);
  };
  result.reference = [=](const std::vector<Values>& in) { return naive(in, s.n_head, 0.6); };
  return result;
}

/// One tensor as keys and values, one as queries.
OpCase shared_case() {
  OpCase result = delta_case("keys_are_values", {1, 20, 2, 3, 3, 8});
  result.inputs.erase(result.inputs.begin() + 2);
  result.op = [](const std::vector<Tensor>& in) { return delta_rule(in[0], in[1], in[1], in[2], 2, 8, 0.6); };
  result.reference = [](const std::vector<Values>& in) {
    return naive({in[0], in[1], in[1], in[2]}, 2, 0.6);
  };
  return result;
}

std::vector<OpCase> cases() {
  return {delta_case("ragged", {2, 29, 3, 4, 4, 8}),
          delta_case("exact", {1, 24, 2, 5, 3, 8}),
          delta_case("one_token", {2, 1, 2, 3, 3, 8}),
          delta_case("one_token_left", {1, 9, 2, 4, 5, 4}),
          delta_case("shorter_than_a_chunk", {1, 63, 1, 6, 4, 64}, 0.3),
          delta_case("long", {1, 200, 1, 8, 8, 64}, 0.3),
          delta_case("single_tokens", {1, 7, 2, 3, 3, 1}),
          shared_case()};
}

OP_TEST(DeltaRuleOp, cases());

/// q, k of length 1, v, beta of a test with one sequence.
std::vector<Tensor> inputs(int64_t tokens, int64_t n_head, int64_t d, DType dtype) {
  const Shape shape{1, tokens, n_head * d};
  OpCase rates;
  rates.inputs = {{{1, tokens, n_head}, Input::Kind::positive}};
  return {l2_norm(random_tensor(shape, 1, dtype), d, 0), l2_norm(random_tensor(shape, 2, dtype), d, 0),
          random_tensor(shape, 3, dtype), make_inputs(rates, dtype)[0]};
}

std::vector<double> reference(const std::vector<Tensor>& in, int64_t n_head) {
  std::vector<Values> values;
  for (const Tensor& x : in) values.push_back({x.shape(), x.values<double>()});
  return naive(values, n_head, 1);
}

TEST(DeltaRule, DoesNotDependOnTheChunk) {
  const std::vector<Tensor> in = inputs(150, 2, 8, DType::float64);
  const std::vector<double> expected = reference(in, 2);
  for (const int64_t chunk : {1, 5, 32, 64, 149, 150, 1000}) {
    const Tensor o = delta_rule(in[0], in[1], in[2], in[3], 2, chunk, 1);
    EXPECT_LE(difference(o.values<double>(), expected), 1e-12) << "chunks of " << chunk;
  }
}

// ATTENTION section 4, pitfall (i): an inverse by doubling is off by 1e9 here.
TEST(DeltaRule, EqualKeysAreExactInFloat32) {
  const int64_t tokens = 200, d = 16;
  std::vector<double> keys;
  for (int64_t i = 0; i < tokens * d; ++i) keys.push_back(i % d % 2 == 0 ? 0.25 : -0.25);
  std::vector<Tensor> in = inputs(tokens, 1, d, DType::float32);
  in[1] = Tensor::from(keys, {1, tokens, d}).to(DType::float32);
  for (const double rate : {1.0, 2.0}) {
    in[3] = Tensor::full({1, tokens, 1}, rate);
    const Tensor o = delta_rule(in[0], in[1], in[2], in[3], 1, 64, 1);
    EXPECT_LE(difference(o.values<double>(), reference(in, 1)), 2e-5) << "beta = " << rate;
  }
}

// ATTENTION section 8: what was written under orthonormal keys is read back unchanged.
TEST(DeltaRule, OrthonormalKeysReadTheirValues) {
  const int64_t d = 12, tokens = 2 * d;
  std::vector<double> q(tokens * d, 0.0), k(tokens * d, 0.0), beta(tokens, 0.0);
  for (int64_t i = 0; i < d; ++i) {
    // A reflection of the axes: k_i = e_i - 2 u (u.e_i), |u| = 1.
    for (int64_t j = 0; j < d; ++j) k[i * d + j] = (i == j ? 1.0 : 0.0) - 2.0 / static_cast<double>(d);
    std::copy(&k[i * d], &k[i * d] + d, &q[(d + i) * d]);
    beta[i] = 1;
  }
  const Tensor v = random_tensor({1, tokens, d}, 4);
  const std::vector<double> values = v.values<double>(),
                            o = delta_rule(Tensor::from(q, {1, tokens, d}), Tensor::from(k, {1, tokens, d}),
                                           v, Tensor::from(beta, {1, tokens, 1}), 1, 5, 1)
                                    .values<double>();
  EXPECT_LE(difference({o.begin() + d * d, o.end()}, {values.begin(), values.begin() + d * d}), 1e-14);
}

struct Results {
  std::vector<std::vector<float>> o_and_gradients;
  bool operator==(const Results&) const = default;
};

Results run(int64_t tokens, int64_t n_head, int64_t d) {
  std::vector<Tensor> in = inputs(tokens, n_head, d, DType::float32);
  Tape tape;
  for (Tensor& x : in) x = tape.watch(x);
  const Tensor o = delta_rule(in[0], in[1], in[2], in[3], n_head, 64, 1);
  tape.backward(o, random_tensor(o.shape(), 5, DType::float32));
  Results results{{o.values<float>()}};
  for (const Tensor& x : in) results.o_and_gradients.push_back(tape.gradient(x).values<float>());
  return results;
}

TEST(DeltaRule, BitsDoNotDependOnTheNumberOfThreads) {
  expect_same_for_any_threads([] { return run(600, 3, 8); });
}

TEST(DeltaRule, MemoryIsLinearInTokens) {
  const int64_t tokens = 8192, before = pool_stats(Device::cpu()).in_use;
  pool_reset_peak(Device::cpu());
  run(tokens, 1, 8);
  EXPECT_LT(pool_stats(Device::cpu()).peak - before, tokens * 1000);
}

TEST(DeltaRule, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 6}), beta = Tensor::zeros({1, 4, 2});
  expect_error(Exit::usage, "3 heads", [&] { delta_rule(x, x, x, beta, 3, 2, 1); });
  expect_error(Exit::usage, "chunks of 0", [&] { delta_rule(x, x, x, beta, 2, 0, 1); });
  expect_error(Exit::usage, "v [1, 5, 6]", [&] {
    delta_rule(x, x, Tensor::zeros({1, 5, 6}), beta, 2, 2, 1);
  });
}

}  // namespace
}  // namespace tapestry::test
