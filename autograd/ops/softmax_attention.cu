#include "autograd/ops/softmax_attention.h"

#include <algorithm>

#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/memory.h"

namespace tapestry::cuda {
namespace {

constexpr int64_t kTile = 256;  // queries and keys

/// Queries against keys of all heads of all sequences, counted from the start of the sequence, and products
/// over them.
struct Tile {
  const AttentionShape& s;
  int64_t query, queries, key, keys;

  /// Where the rows of the queries and of the keys begin.
  int64_t query_at() const { return (query - s.past) * s.width(); }
  int64_t key_at() const { return (key - (key < s.visible.sink ? 0 : s.gap)) * s.width(); }

  int64_t heads() const { return s.batch * s.n_head; }
  int64_t size() const { return heads() * queries * keys; }
  Gemm over_rows(int64_t m, int64_t n, int64_t k) const {
    const int64_t own = queries * keys, rows = s.tokens * s.width();
    Gemm g{.m = m, .n = n, .k = k};
    g.batch = {Gemm::Batch{s.batch, s.n_head * own, rows, rows},
               Gemm::Batch{s.n_head, own, s.head_width, s.head_width}};
    g.ldb = g.ldc = s.width();
    return g;
  }

  /// y [heads, queries, keys] = alpha a b^T, a rows of the queries and b of the keys.
  template <class T>
  void outer(double alpha, const T* a, const T* b, T* y) const {
    const int64_t own = queries * keys, rows = s.tokens * s.width();
    Gemm g{.m = queries, .n = keys, .k = s.head_width, .transpose_b = true, .alpha = alpha};
    g.lda = g.ldb = s.width();
    g.batch = {Gemm::Batch{s.batch, rows, rows, s.n_head * own},
               Gemm::Batch{s.n_head, s.head_width, s.head_width, own}};
    gemm(g, a + query_at(), b + key_at(), y);
  }
  /// to of the queries += x from of the keys
  template <class T>
  void to_queries(const T* x, const T* from, T* to) const {
    Gemm g = over_rows(queries, s.head_width, keys);
    g.beta = 1;
    gemm(g, x, from + key_at(), to + query_at());
  }
  /// to of the keys += x^T from of the queries
  template <class T>
  void to_keys(const T* x, const T* from, T* to) const {
    Gemm g = over_rows(keys, s.head_width, queries);
    g.transpose_a = true;
    g.beta = 1;
    gemm(g, x, from + query_at(), to + key_at());
  }
};

/// Calls `work(tile)` for tiles that together hold all keys that the queries from row `row` on see: sinks,
/// then the rest.
template <class Work>
void for_key_tiles(const AttentionShape& s, int64_t row, const Work& work) {
  const int64_t query = s.past + row, queries = std::min(kTile, s.tokens - row), end = query + queries;
  const int64_t first = s.visible.first(query), sinks = std::min(s.visible.sink, first);
  for (int64_t key = 0; key < sinks; key += kTile)
    work(Tile{s, query, queries, key, std::min(kTile, sinks - key)});
  for (int64_t key = first; key < end; key += kTile)
    work(Tile{s, query, queries, key, std::min(kTile, end - key)});
}

/// One row of the scores of a tile: which query, which of its keys, and where its numbers lie.
struct ScoreRow {
  int64_t head, t, key, keys;
  int64_t first, sink;     // of what t sees
  int64_t vector, scalar;  // offsets in [B, T, C] and in [B, H, T]
  __device__ ScoreRow(const AttentionShape& s, int64_t query, int64_t queries, int64_t key, int64_t keys,
                      int64_t i)
      : head(i / queries),
        t(query + i % queries),
        key(key),
        keys(keys),
        first(s.visible.first(t)),
        sink(s.visible.sink),
        vector((head / s.n_head * s.tokens + t - s.past) * s.width() + head % s.n_head * s.head_width),
        scalar(head * s.tokens + t - s.past) {}
  __device__ bool sees(int64_t i) const { return key + i <= t && (key + i >= first || key + i < sink); }
};

/// scores -> exp(scores - max) with the largest score so far; o, its sum of values, and the sum are brought
/// to that maximum. max and sum are [B, H, T].
template <class T>
void online_softmax(const Tile& tile, T* scores, T* o, T* max, T* sum) {
  const AttentionShape s = tile.s;
  const int64_t query = tile.query, queries = tile.queries, key = tile.key, keys = tile.keys;
  for_each_block("online_softmax", tile.heads() * queries, row_threads(keys), 0, [=] __device__(int64_t i) {
    const ScoreRow row(s, query, queries, key, keys, i);
    T* score = scores + i * keys;
    const T hidden = -std::numeric_limits<T>::infinity();
    const T before = max[row.scalar];
    const T largest = block_reduce_row(
        keys, before, [=](int64_t j) { return row.sees(j) ? score[j] : hidden; }, Max{});
    // A tile may be hidden from a row altogether; -inf - -inf would be NaN.
    const T base = largest == hidden ? T(0) : largest;
    const T keep = exp_nonpositive(before - base);
    const T added = block_sum<T>(keys, [=](int64_t j) {
      const T e = row.sees(j) ? exp_nonpositive(score[j] - base) : T(0);
      score[j] = e;
      return e;
    });
    block_for(s.head_width, [=](int64_t j) { o[row.vector + j] *= keep; });
    if (threadIdx.x != 0) return;
    max[row.scalar] = largest;
    sum[row.scalar] = sum[row.scalar] * keep + added;
  });
}

/// scores -> P = exp(scores - lse), and dp = do v^T -> scale P (dp - D).
template <class T>
void softmax_gradient(const Tile& tile, const T* lse, const T* D, T* scores, T* dp) {
  const AttentionShape s = tile.s;
  const int64_t query = tile.query, queries = tile.queries, key = tile.key, keys = tile.keys;
  const T scale = static_cast<T>(s.scale);
  for_each_index("softmax_gradient", tile.size(), [=] __device__(int64_t i) {
    const ScoreRow row(s, query, queries, key, keys, i / keys);
    const T p = row.sees(i % keys) ? exp_nonpositive(scores[i] - lse[row.scalar]) : T(0);
    scores[i] = p;
    dp[i] = scale * p * (dp[i] - D[row.scalar]);
  });
}

}  // namespace

template <class T>
void softmax_attention_forward(const AttentionShape& shape, const T* q, const T* k, const T* v, T* o,
                               T* lse) {
  const AttentionShape s = shape;
  const int64_t heads = s.batch * s.n_head, rows = heads * s.tokens, d = s.head_width;
  DeviceArray<T> sums(rows);
  T *max = lse, *sum = sums.data();
  fill(max, -std::numeric_limits<T>::infinity(), rows);
  fill(sum, T(0), rows);
  fill(o, T(0), rows * d);
  for (int64_t row = 0; row < s.tokens; row += kTile) {
    for_key_tiles(s, row, [&](const Tile& tile) {
      DeviceArray<T> memory(tile.size());
      T* scores = memory.data();
      tile.outer(s.scale, q, k, scores);
      online_softmax(tile, scores, o, max, sum);
      tile.to_queries(scores, v, o);
    });
  }
  for_each_index("softmax_attention_forward", rows * d, [=] __device__(int64_t i) {
    const int64_t piece = i / d, token = piece / s.n_head, head = piece % s.n_head;
    o[i] /= sum[(token / s.tokens * s.n_head + head) * s.tokens + token % s.tokens];
  });
  for_each_index("softmax_attention_forward", rows,
                 [=] __device__(int64_t i) { lse[i] = max[i] + std::log(sum[i]); });
}

template <class T>
void softmax_attention_backward(const AttentionShape& s, const T* q, const T* k, const T* v, const T* lse,
                                const T* D, const T* dout, T* dq, T* dk, T* dv, bool accumulate) {
  if (!accumulate) {
    for (T* gradient : {dq, dk, dv}) fill(gradient, T(0), s.batch * s.tokens * s.width());
  }
  for (int64_t row = 0; row < s.tokens; row += kTile) {
    for_key_tiles(s, row, [&](const Tile& tile) {
      DeviceArray<T> memory(2 * tile.size());
      T *scores = memory.data(), *dp = scores + tile.size();
      tile.outer(s.scale, q, k, scores);
      tile.outer(1, dout, v, dp);
      softmax_gradient(tile, lse, D, scores, dp);
      tile.to_keys(scores, dout, dv);
      tile.to_keys(dp, q, dk);
      tile.to_queries(dp, k, dq);
    });
  }
}

template <class T>
void head_dots(const AttentionShape& shape, const T* o, const T* dout, T* D) {
  const AttentionShape s = shape;
  for_each_block("head_dots", s.batch * s.tokens * s.n_head, kWarp, 0, [=] __device__(int64_t piece) {
    const T *a = o + piece * s.head_width, *b = dout + piece * s.head_width;
    const T dot = block_sum<T>(s.head_width, [=](int64_t i) { return a[i] * b[i]; });
    const int64_t token = piece / s.n_head, head = piece % s.n_head;
    if (threadIdx.x == 0) D[(token / s.tokens * s.n_head + head) * s.tokens + token % s.tokens] = dot;
  });
}

#define INSTANTIATE(T)                                                                                    \
  template void softmax_attention_forward(const AttentionShape&, const T*, const T*, const T*, T*, T*);   \
  template void softmax_attention_backward(const AttentionShape&, const T*, const T*, const T*, const T*, \
                                           const T*, const T*, T*, T*, T*, bool);                         \
  template void head_dots(const AttentionShape&, const T*, const T*, T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
