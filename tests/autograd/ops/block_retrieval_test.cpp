#include "autograd/ops/block_retrieval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/ops/chunk_mean.h"
#include "autograd/ops/softmax_attention.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "tests/support/op_case.h"
#include "tests/support/threads.h"

namespace tapestry::test {
namespace {

double head_dot(const Values& a, int64_t row_a, const Values& b, int64_t row_b, int64_t head, int64_t d) {
  double sum = 0;
  for (int64_t e = 0; e < d; ++e)
    sum += a[row_a * a.shape[-1] + head * d + e] * b[row_b * b.shape[-1] + head * d + e];
  return sum;
}

bool is_local(int64_t t, int64_t i, const BlockRetrieval& x) {
  return i <= t && (i >= t / x.chunk * x.chunk - x.overlap || i < x.sink);
}

/// For each block that token t retrieves in this head its score, straight from ATTENTION 7.6.
std::vector<std::pair<int64_t, double>> retrieved(const Values& r, const Values& h, int64_t b, int64_t t,
                                                  int64_t head, const BlockRetrieval& x) {
  const int64_t T = r.shape[1], N = (T - 1) / x.block, d = r.shape[2] / x.n_head;
  std::vector<std::pair<int64_t, double>> blocks;
  for (int64_t j = 0; j < t / x.chunk * (x.chunk / x.block); ++j) {
    bool whole = true;
    for (int64_t i = j * x.block; i < (j + 1) * x.block; ++i) whole = whole && is_local(t, i, x);
    if (!whole) blocks.push_back({j, x.scale * head_dot(r, b * T + t, h, b * N + j, head, d)});
  }
  const auto key = [](const auto& block) { return block.second + 1e-5 * block.first; };
  std::sort(blocks.begin(), blocks.end(), [&](const auto& a, const auto& c) { return key(a) > key(c); });
  const bool retrieves = head >= x.n_head - std::min(x.heads, x.n_head);
  blocks.resize(retrieves ? std::min<int64_t>(blocks.size(), x.topk) : 0);
  return blocks;
}

/// Dense: every score of every pair of tokens. in: q, k, v, r, h, the queries and keys of retrieved tokens if
/// `apart`, and the gain if there is one.
std::vector<double> dense_formula(const std::vector<Values>& in, const BlockRetrieval& x, bool apart) {
  const Values &q = in[0], &k = in[1], &v = in[2], &remote_q = in[apart ? 5 : 0],
               &remote_k = in[apart ? 6 : 1];
  const bool has_gain = in.size() % 2 == 0;
  const int64_t B = q.shape[0], T = q.shape[1], C = q.shape[2], d = C / x.n_head;
  std::vector<double> o(B * T * C, 0.0);
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t head = 0; head < x.n_head; ++head) {
      for (int64_t t = 0; t < T; ++t) {
        const auto remote_score = [&](int64_t i) {
          return x.scale * head_dot(remote_q, b * T + t, remote_k, b * T + i, head, d);
        };
        std::vector<double> bias(T, -INFINITY);
        for (const auto& [j, score] : retrieved(in[3], in[4], b, t, head, x)) {
          const double gain = has_gain ? in.back()[head] : 1;
          const double weight = x.score_bias ? gain * score : 0;
          double tokens = 0, exponentials = 0;
          for (int64_t i = j * x.block; i < (j + 1) * x.block; ++i) {
            if (is_local(t, i, x)) continue;
            ++tokens;
            exponentials += std::exp(remote_score(i));
          }
          std::fill_n(bias.begin() + j * x.block, x.block,
                      x.hierarchical ? weight + std::log(tokens / exponentials) : weight);
        }
        double sum = 0;
        std::vector<double> p(T);
        for (int64_t i = 0; i <= t; ++i) {
          const double score = is_local(t, i, x) ? x.scale * head_dot(q, b * T + t, k, b * T + i, head, d)
                                                 : remote_score(i) + bias[i];
          p[i] = std::exp(score);
          sum += p[i];
        }
        for (int64_t i = 0; i <= t; ++i) {
          for (int64_t e = head * d; e < (head + 1) * d; ++e)
            o[(b * T + t) * C + e] += p[i] / sum * v[(b * T + i) * C + e];
        }
      }
    }
  }
  return o;
}

OpCase retrieval_case(std::string name, int64_t B, int64_t T, int64_t C, BlockRetrieval x,
                      bool learned_gain = false, bool apart = false) {
  OpCase result;
  result.name = std::move(name);
  x.scale = 0.8;
  const Shape shape{B, T, C};
  const bool bias = x.score_bias;
  result.inputs = {{shape}, {shape}, {shape}, {shape}, {{B, (T - 1) / x.block, C}}};
  result.inputs[3].differentiate = result.inputs[4].differentiate = bias;
  if (apart) result.inputs.insert(result.inputs.end(), 2, {shape});
  if (learned_gain) result.inputs.push_back({{x.n_head}});
  result.op = [=](const std::vector<Tensor>& in) {
    const TokenScores remote = apart ? TokenScores{in[5], in[6]} : TokenScores{};
    return block_retrieval({in[0], in[1]}, remote, in[2], in[3], in[4], learned_gain ? in.back() : Tensor(),
                           x);
  };
  result.reference = [=](const std::vector<Values>& in) { return dense_formula(in, x, apart); };
  return result;
}

std::vector<OpCase> cases() {
  return {
      retrieval_case("retrieval", 2, 29, 8, {.n_head = 2, .chunk = 8, .block = 8, .topk = 2}),
      retrieval_case("retrieval_gain", 2, 29, 12, {.n_head = 3, .chunk = 4, .block = 4, .topk = 2}, true),
      retrieval_case("retrieval_no_bias", 1, 46, 6,
                     {.n_head = 1, .chunk = 4, .block = 4, .topk = 3, .score_bias = false}),
      retrieval_case("retrieval_overlap", 1, 41, 8,
                     {.n_head = 2, .chunk = 5, .block = 5, .topk = 2, .overlap = 3}),
      retrieval_case("retrieval_overlap_over_chunk", 1, 41, 8,
                     {.n_head = 2, .chunk = 4, .block = 4, .topk = 2, .overlap = 11}),
      retrieval_case("retrieval_sink", 1, 41, 8, {.n_head = 2, .chunk = 4, .block = 4, .topk = 2, .sink = 6}),
      retrieval_case("retrieval_overlap_and_sink", 2, 46, 8,
                     {.n_head = 2, .chunk = 4, .block = 4, .topk = 3, .overlap = 3, .sink = 2}, true),
      retrieval_case("retrieval_meeting", 1, 23, 4,
                     {.n_head = 1, .chunk = 4, .block = 4, .topk = 9, .overlap = 6, .sink = 5}),
      retrieval_case("retrieval_some_heads", 2, 41, 12,
                     {.n_head = 3, .chunk = 5, .block = 5, .topk = 2, .overlap = 3, .heads = 1}, true),
      retrieval_case("retrieval_most_heads", 3, 29, 8,
                     {.n_head = 4, .chunk = 4, .block = 4, .topk = 2, .sink = 2, .heads = 3}),
      retrieval_case("retrieval_chunk_of_one", 1, 12, 4, {.n_head = 2, .chunk = 1, .block = 1, .topk = 3}),
      retrieval_case("retrieval_last_of_one", 1, 25, 4, {.n_head = 2, .chunk = 8, .block = 8, .topk = 1}),
      retrieval_case("retrieval_small_blocks", 2, 41, 12,
                     {.n_head = 3, .chunk = 8, .block = 2, .topk = 5, .heads = 2}, true),
      retrieval_case("retrieval_blocks_of_one", 1, 29, 8, {.n_head = 2, .chunk = 6, .block = 1, .topk = 7}),
      // Blocks that are partly local, the overlap and the sinks being no whole ones.
      retrieval_case("retrieval_partly_local_blocks", 1, 61, 8,
                     {.n_head = 2, .chunk = 12, .block = 4, .topk = 3, .overlap = 7, .sink = 6}),
      retrieval_case("retrieval_all", 1, 70, 4, {.n_head = 1, .chunk = 4, .block = 4, .topk = 1000}),
      retrieval_case("retrieval_full_tiles", 1, 140, 6,
                     {.n_head = 2, .chunk = 16, .block = 16, .topk = 2, .overlap = 2}, true),
      retrieval_case("retrieval_scored_apart", 2, 61, 12,
                     {.n_head = 3, .chunk = 8, .block = 4, .topk = 3, .overlap = 5, .sink = 3, .heads = 2},
                     true, true),
      retrieval_case("retrieval_hierarchical", 2, 29, 8,
                     {.n_head = 2, .chunk = 8, .block = 8, .topk = 2, .hierarchical = true}),
      retrieval_case("retrieval_hierarchical_gain", 2, 61, 12,
                     {.n_head = 3,
                      .chunk = 12,
                      .block = 4,
                      .topk = 5,
                      .overlap = 7,
                      .sink = 6,
                      .hierarchical = true,
                      .heads = 2},
                     true, true),
      retrieval_case("retrieval_hierarchical_blocks_of_one", 1, 29, 8,
                     {.n_head = 2, .chunk = 6, .block = 1, .topk = 7, .hierarchical = true}),
      retrieval_case("retrieval_hierarchical_full_tiles", 1, 140, 6,
                     {.n_head = 2, .chunk = 16, .block = 8, .topk = 5, .overlap = 2, .hierarchical = true},
                     true),
      retrieval_case("retrieval_scored_apart_no_bias", 1, 46, 6,
                     {.n_head = 1, .chunk = 4, .block = 4, .topk = 3, .score_bias = false}, false, true),
  };
}

OP_TEST(BlockRetrievalOp, cases());

struct Problem {
  Tensor q, k, v, r, h;
  Tensor operator()(const BlockRetrieval& x) const { return block_retrieval({q, k}, {}, v, r, h, {}, x); }
};

/// Tokens from a vocabulary of `words` random rows, so that blocks, summaries and scores repeat.
Problem repeated_tokens(int64_t T, int64_t C, int64_t block, int64_t words, uint64_t key, DType dtype) {
  const std::vector<double> table = random_tensor({words, C}, key).values<double>();
  std::vector<double> x(T * C);
  for (int64_t t = 0; t < T; ++t)
    std::copy_n(table.begin() + random_bits(key + 1, t) % words * C, C, x.begin() + t * C);
  const Tensor tokens = Tensor::from(x, Shape{1, T, C}).to(dtype);
  return {tokens, tokens, tokens, tokens, chunk_mean(tokens, block)};
}

/// The same problem with everything from token t on replaced by large random numbers.
Problem with_another_future(const Problem& p, int64_t t, int64_t block, uint64_t key) {
  const auto change = [&](const Tensor& x, int64_t first) {
    std::vector<double> values = x.values<double>();
    for (int64_t i = first * x.dim(2); i < x.size(); ++i) values[i] = 3 * random_normal(key, i);
    return Tensor::from(values, x.shape()).to(x.dtype());
  };
  return {change(p.q, t), change(p.k, t), change(p.v, t), change(p.r, t), change(p.h, t / block)};
}

template <class T>
void expect_same_bits(const Tensor& a, const Tensor& b, int64_t count, const std::string& where) {
  ASSERT_EQ(std::memcmp(a.data<T>(), b.data<T>(), count * sizeof(T)), 0) << where;
}

/// The point of the layer: no bit of a token depends on a later one, also where blocks tie.
template <class T>
void expect_causal_bits(int64_t tokens, int64_t words, const BlockRetrieval& x, uint64_t key) {
  const int64_t C = 16;
  const Problem problem = repeated_tokens(tokens, C, x.block, words, key, dtype_of<T>());
  const Tensor o = problem(x);
  for (int trial = 0; trial < 6; ++trial) {
    const int64_t t = random_bits(key + 2, trial) % tokens;
    const Tensor changed = with_another_future(problem, t, x.block, key + trial)(x);
    expect_same_bits<T>(o, changed, t * C, join(tokens, " tokens, chunk ", x.chunk, ", changed from ", t));
  }
}

TEST(BlockRetrieval, NoBitDependsOnALaterToken) {
  for (uint64_t key = 0; key < 6; ++key) {
    BlockRetrieval x{.n_head = 2, .scale = 0.4, .chunk = 4 + static_cast<int64_t>(6 * key), .topk = 3};
    x.block = key % 2 == 0 ? x.chunk : x.chunk / 2;
    x.overlap = key % 3 * 2;
    x.sink = key % 4;
    x.hierarchical = key % 2 == 0;
    const int64_t tokens = 150 + 61 * static_cast<int64_t>(key);
    for (int64_t words : {3, 400}) {
      expect_causal_bits<float>(tokens, words, x, 100 * key);
      expect_causal_bits<double>(tokens, words, x, 100 * key);
    }
  }
}

TEST(BlockRetrieval, TiesGoToTheLaterChunk) {
  const BlockRetrieval x{.n_head = 1, .chunk = 2, .block = 2, .topk = 1};
  const Tensor zeros = Tensor::zeros({1, 9, 1});
  const Tensor v = Tensor::from<float>({0, 0, 1, 1, 2, 2, 3, 3, 4}, {1, 9, 1});
  const Tensor o = block_retrieval({zeros, zeros}, {}, v, zeros, Tensor::zeros({1, 4, 1}), {}, x);
  const std::vector<float> expected{0, 0, 1 / 3.f, 2 / 4.f, 4 / 3.f, 6 / 4.f, 7 / 3.f, 10 / 4.f, 10 / 3.f};
  for (int64_t t = 0; t < 9; ++t) EXPECT_NEAR(o.values<float>()[t], expected[t], 1e-6) << t;
}

struct Result {
  std::vector<double> output;
  std::vector<std::vector<double>> gradients;  // of q, k, v
};

/// Output and gradients, with r = q and h = the means of k.
template <class Op>
Result run(const Tensor& q0, const Tensor& k0, const Tensor& v0, const Op& op) {
  Tape tape;
  const Tensor q = tape.watch(q0), k = tape.watch(k0), v = tape.watch(v0);
  const Tensor o = op(q, k, v);
  tape.backward(o, random_tensor(o.shape(), 99).to(o.dtype()));
  Result result{o.values<double>(), {}};
  for (const Tensor& x : {q, k, v}) result.gradients.push_back(tape.gradient(x).values<double>());
  return result;
}

void expect_equal(const Result& a, const Result& b, double tolerance) {
  EXPECT_LE(difference(a.output, b.output), tolerance);
  for (size_t i = 0; i < a.gradients.size(); ++i)
    EXPECT_LE(difference(a.gradients[i], b.gradients[i]), tolerance);
}

TEST(BlockRetrieval, ReadingAllChunksIsSoftmaxAttention) {
  const Shape shape{2, 53, 8};
  const Tensor q = random_tensor(shape, 1), k = random_tensor(shape, 2), v = random_tensor(shape, 3);
  const Result softmax = run(q, k, v, [](auto&... x) { return softmax_attention(x..., 2, 0.5); });
  for (int64_t overlap : {0, 3, 9}) {
    const BlockRetrieval x{2, 0.5, 8, 8, 6, overlap, overlap / 2, false};
    expect_equal(run(q, k, v,
                     [&](const Tensor& q, const Tensor& k, const Tensor& v) {
                       return block_retrieval({q, k}, {}, v, q, chunk_mean(k, 8), {}, x);
                     }),
                 softmax, 1e-12);
  }
}

TEST(BlockRetrieval, ReadingNoChunkIsLocalAttention) {
  const Shape shape{2, 53, 8};
  const Tensor q = random_tensor(shape, 1), k = random_tensor(shape, 2), v = random_tensor(shape, 3);
  const BlockRetrieval x{2, 0.5, 8, 8, 0, 3, 2, true};
  expect_equal(run(q, k, v,
                   [&](const Tensor& q, const Tensor& k, const Tensor& v) {
                     return block_retrieval({q, k}, {}, v, q, chunk_mean(k, 8), {}, x);
                   }),
               run(q, k, v,
                   [](auto&... x) {
                     return softmax_attention(x..., 2, 0.5, {8, 3, 2});
                   }),
               0);
}

TEST(BlockRetrieval, BitsDoNotDependOnTheNumberOfThreads) {
  const Problem p = repeated_tokens(300, 16, 16, 50, 5, DType::float32);
  expect_same_for_any_threads([&] {
    const Result result = run(p.q, p.k, p.v, [&](const Tensor& q, const Tensor& k, const Tensor& v) {
      return block_retrieval({q, k}, {}, v, q, chunk_mean(k, 16), {},
                             {.n_head = 2, .scale = 0.3, .chunk = 16, .block = 16, .topk = 3});
    });
    return std::pair(result.output, result.gradients);
  });
}

TEST(BlockRetrieval, LargeScoresStayFinite) {
  const Problem p = repeated_tokens(70, 4, 8, 9, 3, DType::float32);
  const Tensor r = random_tensor({1, 70, 4}, 8, DType::float32, 3000);
  for (const bool hierarchical : {false, true}) {
    for (const double scale : {1.0, 100.0}) {
      BlockRetrieval x{.n_head = 1, .scale = scale, .chunk = 8, .block = 8, .topk = 3};
      x.hierarchical = hierarchical;
      const Result result = run(p.q, p.k, p.v, [&](const Tensor& q, const Tensor& k, const Tensor& v) {
        return block_retrieval({q, k}, {}, v, r, chunk_mean(k, 8), {}, x);
      });
      for (double y : result.output) EXPECT_TRUE(std::isfinite(y));
      for (const auto& gradient : result.gradients) {
        for (double y : gradient) EXPECT_TRUE(std::isfinite(y));
      }
    }
  }
}

TEST(BlockRetrieval, SavesMemoryLinearInTheSequence) {
  const auto saved = [](int64_t tokens) {
    const Tensor x = random_tensor({1, tokens, 8}, 1, DType::float32);
    Tape tape;
    const Tensor k = tape.watch(x);
    const Tensor o = block_retrieval({k, k}, {}, k, k, chunk_mean(k, 8), {},
                                     {.n_head = 2, .chunk = 8, .block = 8, .topk = 2});
    return tape.saved_bytes();
  };
  EXPECT_LE(saved(801), 2.01 * saved(401));
}

}  // namespace
}  // namespace tapestry::test
