#include "autograd/ops/softmax_attention.h"

#include <algorithm>

#include "autograd/cuda/operand.cuh"
#include "autograd/math.h"
#include "autograd/memory.h"

namespace tapestry::cuda {
namespace {

/// `count` tiles along a diagonal, each `side` tokens behind the one before: the queries and keys of the
/// first, counted from the start of the sequence.
struct TilePlace {
  int64_t side, count;
  int64_t query, queries, key, keys;
};

/// Such tiles of all heads of all sequences, and products over them.
struct Tiles : TilePlace {
  AttentionShape s;

  /// Where the rows of the queries and of the keys begin.
  int64_t query_at() const { return (query - s.past) * s.width(); }
  int64_t key_at() const { return (key - (key < s.visible.sink ? 0 : s.gap)) * s.width(); }

  int64_t rows() const { return s.batch * s.n_head * count * queries; }
  int64_t size() const { return rows() * keys; }

  /// y [B, H, count, queries, keys] = alpha a b^T, a rows of the queries and b of the keys.
  template <class In, class T>
  void outer(double alpha, const In* a, const In* b, T* y) const {
    gemm<In>({.m = queries,
              .n = keys,
              .k = s.head_width,
              .transpose_b = true,
              .alpha = alpha,
              .lda = s.width(),
              .ldb = s.width(),
              .batch = over(tokens(), tokens(), own())},
             a + query_at(), b + key_at(), y);
  }
  /// to of the queries += x from of the keys
  template <class In, class T>
  void to_queries(const In* x, const In* from, T* to) const {
    gemm<In>(over_rows(queries, keys, false), x, from + key_at(), to + query_at());
  }
  /// to of the keys += x^T from of the queries
  template <class In, class T>
  void to_keys(const In* x, const In* from, T* to) const {
    gemm<In>(over_rows(keys, queries, true), x, from + query_at(), to + key_at());
  }

 private:
  using Strides = std::array<int64_t, 3>;
  Strides tokens() const { return {s.tokens * s.width(), s.head_width, side * s.width()}; }
  Strides own() const {
    const int64_t tile = queries * keys;
    return {s.n_head * count * tile, count * tile, tile};
  }
  std::array<Gemm::Batch, 3> over(Strides a, Strides b, Strides c) const {
    return {Gemm::Batch{s.batch, a[0], b[0], c[0]}, Gemm::Batch{s.n_head, a[1], b[1], c[1]},
            Gemm::Batch{count, a[2], b[2], c[2]}};
  }
  Gemm over_rows(int64_t m, int64_t k, bool transpose) const {
    return {.m = m,
            .n = s.head_width,
            .k = k,
            .transpose_a = transpose,
            .beta = 1,
            .ldb = s.width(),
            .ldc = s.width(),
            .batch = over(own(), tokens(), tokens())};
  }
};

/// Numbers that the scores of tiles may need.
constexpr int64_t kMostScores = int64_t{64} << 20;

/// The side of the tiles: whole chunks, so that the tiles of all queries have the same sizes. Tokens that
/// follow a long past are few, and take more keys at once.
int64_t side_of(const AttentionShape& s) {
  constexpr int64_t side = 256, longest_chunk = 512;
  const int64_t chunk = s.visible.chunk > longest_chunk ? 1 : s.visible.chunk;
  const int64_t most = s.past > 0 ? kMostScores / (s.batch * s.n_head * s.tokens) : 0;
  return std::max<int64_t>(1, std::max(side, most) / chunk) * chunk;
}

/// The tile of the queries from row `row` on with the keys that they see `back` tiles before their own.
Tiles tile_at(const AttentionShape& s, int64_t row, int64_t back) {
  const int64_t side = side_of(s);
  const int64_t query = s.past + row, queries = std::min(side, s.tokens - row);
  const int64_t begin = std::max(s.visible.first(query), query - back * side);
  const int64_t end = back == 0 ? query + queries : query - (back - 1) * side;
  return {{side, 1, query, queries, begin, std::max<int64_t>(0, end - begin)}, s};
}

/// Calls `work(tiles)` for tiles that together hold all queries with all keys that they see, as many of one
/// size as kMostScores allows; a query's own tile first, then backwards, and sinks at last.
template <class Work>
void for_each_tiles(const AttentionShape& s, const Work& work) {
  const int64_t side = side_of(s);
  const int64_t together = std::max<int64_t>(1, kMostScores / (s.batch * s.n_head * side * side));
  bool found = true;
  for (int64_t back = 0; found; ++back) {
    found = false;
    for (int64_t row = 0; row < s.tokens;) {
      Tiles tiles = tile_at(s, row, back);
      const auto goes_on = [&] {
        const Tiles next = tile_at(s, row, back);
        return next.queries == tiles.queries && next.keys == tiles.keys && tiles.count < together;
      };
      for (row += side; row < s.tokens && goes_on(); row += side) ++tiles.count;
      if (tiles.keys == 0) continue;
      work(tiles);
      found = true;
    }
  }
  for (int64_t row = 0; row < s.tokens; row += side) {
    Tiles tile = tile_at(s, row, 0);
    const int64_t sinks = std::min(s.visible.sink, s.visible.first(tile.query));
    for (tile.key = 0; tile.key < sinks; tile.key += side) {
      tile.keys = std::min(side, sinks - tile.key);
      work(tile);
    }
  }
}

/// Row `i` of the scores of tiles: which query, which of its keys, and where its numbers lie.
struct ScoreRow {
  int64_t t, key;
  int64_t first, sink;     // of what t sees
  int64_t vector, scalar;  // offsets in [B, T, C] and in [B, H, T]
  __device__ ScoreRow(const AttentionShape& s, const TilePlace& at, int64_t i) {
    const int64_t head = i / at.queries / at.count, behind = i / at.queries % at.count * at.side;
    t = at.query + behind + i % at.queries;
    key = at.key + behind;
    first = s.visible.first(t);
    sink = s.visible.sink;
    vector = (head / s.n_head * s.tokens + t - s.past) * s.width() + head % s.n_head * s.head_width;
    scalar = head * s.tokens + t - s.past;
  }
  __device__ bool sees(int64_t i) const { return key + i <= t && (key + i >= first || key + i < sink); }
};

/// p = exp(scores - max) with the largest score so far; o, its sum of values, and the sum are brought to that
/// maximum. max and sum are [B, H, T].
template <class In, class T>
void online_softmax(const Tiles& tiles, T* scores, In* p, T* o, T* max, T* sum) {
  const AttentionShape s = tiles.s;
  const TilePlace at = tiles;
  const int64_t keys = tiles.keys;
  for_each_row("online_softmax", tiles.rows(), keys, [=] __device__(int64_t i) {
    const ScoreRow row(s, at, i);
    const T* score = scores + i * keys;
    const T hidden = -std::numeric_limits<T>::infinity();
    const T before = max[row.scalar];
    const T largest = block_reduce_row(
        keys, before, [=](int64_t j) { return row.sees(j) ? score[j] : hidden; }, Max{});
    // A tile may be hidden from a row altogether; -inf - -inf would be NaN.
    const T base = largest == hidden ? T(0) : largest;
    const T keep = exp_nonpositive(before - base);
    const T added = block_sum<T>(keys, [=](int64_t j) {
      const T e = row.sees(j) ? exp_nonpositive(score[j] - base) : T(0);
      store(p[i * keys + j], e);
      return e;
    });
    block_for(s.head_width, [=](int64_t j) { o[row.vector + j] *= keep; });
    if (threadIdx.x != 0) return;
    max[row.scalar] = largest;
    sum[row.scalar] = sum[row.scalar] * keep + added;
  });
}

/// p = exp(scores - lse), ds = scale p (dp - D).
template <class In, class T>
void softmax_gradient(const Tiles& tiles, const T* lse, const T* D, const T* scores, const T* dp, In* p,
                      In* ds) {
  const AttentionShape s = tiles.s;
  const TilePlace at = tiles;
  const int64_t keys = tiles.keys;
  const T scale = static_cast<T>(s.scale);
  for_each_row("softmax_gradient", tiles.rows(), keys, [=] __device__(int64_t i) {
    const ScoreRow row(s, at, i);
    const T shift = lse[row.scalar], d = D[row.scalar];
    block_for(keys, [=](int64_t j) {
      const int64_t k = i * keys + j;
      const T e = row.sees(j) ? exp_nonpositive(scores[k] - shift) : T(0), slope = scale * e * (dp[k] - d);
      store(p[k], e);
      store(ds[k], slope);
    });
  });
}

template <class In, class T>
void forward(const AttentionShape& shape, const T* q, const T* k, const T* v, T* o, T* lse) {
  const AttentionShape s = shape;
  const int64_t rows = s.batch * s.n_head * s.tokens, d = s.head_width;
  Operand<In, T> queries(q, rows * d), all_keys(k, rows * d), values(v, rows * d);
  DeviceArray<T> sums(rows);
  T *max = lse, *sum = sums.data();
  fill(max, -std::numeric_limits<T>::infinity(), rows);
  fill(sum, T(0), rows);
  fill(o, T(0), rows * d);
  for_each_tiles(s, [&](const Tiles& tiles) {
    DeviceArray<T> scores(tiles.size());
    MadeOperand<In, T> p(scores.data(), tiles.size());
    tiles.outer(s.scale, queries.data(), all_keys.data(), scores.data());
    online_softmax(tiles, scores.data(), p.data(), o, max, sum);
    tiles.to_queries(p.data(), values.data(), o);
  });
  for_each_index("softmax_attention_forward", rows * d, [=] __device__(int64_t i) {
    const int64_t piece = i / d, token = piece / s.n_head, head = piece % s.n_head;
    o[i] /= sum[(token / s.tokens * s.n_head + head) * s.tokens + token % s.tokens];
  });
  for_each_index("softmax_attention_forward", rows,
                 [=] __device__(int64_t i) { lse[i] = max[i] + std::log(sum[i]); });
}

template <class In, class T>
void backward(const AttentionShape& s, const T* q, const T* k, const T* v, const T* lse, const T* D,
              const T* dout, T* dq, T* dk, T* dv) {
  const int64_t size = s.batch * s.tokens * s.width();
  Operand<In, T> queries(q, size), all_keys(k, size), values(v, size), gradient(dout, size);
  for_each_tiles(s, [&](const Tiles& tiles) {
    DeviceArray<T> scores(tiles.size()), dp(tiles.size());
    MadeOperand<In, T> p(scores.data(), tiles.size()), ds(dp.data(), tiles.size());
    tiles.outer(s.scale, queries.data(), all_keys.data(), scores.data());
    tiles.outer(1, gradient.data(), values.data(), dp.data());
    softmax_gradient(tiles, lse, D, scores.data(), dp.data(), p.data(), ds.data());
    tiles.to_keys(p.data(), gradient.data(), dv);
    tiles.to_keys(ds.data(), queries.data(), dk);
    tiles.to_queries(ds.data(), all_keys.data(), dq);
  });
}

}  // namespace

template <class T>
void softmax_attention_forward(const AttentionShape& s, const T* q, const T* k, const T* v, T* o, T* lse) {
  if (s.past > 0) return forward<T>(s, q, k, v, o, lse);  // k and v are longer than what follows them
  for_operand_type<T>([&]<class In>(In) { forward<In>(s, q, k, v, o, lse); });
}

template <class T>
void softmax_attention_backward(const AttentionShape& s, const T* q, const T* k, const T* v, const T* lse,
                                const T* D, const T* dout, T* dq, T* dk, T* dv) {
  for (T* gradient : {dq, dk, dv}) fill(gradient, T(0), s.batch * s.tokens * s.width());
  for_operand_type<T>([&]<class In>(In) { backward<In>(s, q, k, v, lse, D, dout, dq, dk, dv); });
}

template <class T>
void head_dots(const AttentionShape& shape, const T* o, const T* dout, T* D) {
  const AttentionShape s = shape;
  for_each_row("head_dots", s.batch * s.tokens * s.n_head, s.head_width, [=] __device__(int64_t piece) {
    const T *a = o + piece * s.head_width, *b = dout + piece * s.head_width;
    const T dot = block_sum<T>(s.head_width, [=](int64_t i) { return a[i] * b[i]; });
    const int64_t token = piece / s.n_head, head = piece % s.n_head;
    if (threadIdx.x == 0) D[(token / s.tokens * s.n_head + head) * s.tokens + token % s.tokens] = dot;
  });
}

#define INSTANTIATE(T)                                                                                    \
  template void softmax_attention_forward(const AttentionShape&, const T*, const T*, const T*, T*, T*);   \
  template void softmax_attention_backward(const AttentionShape&, const T*, const T*, const T*, const T*, \
                                           const T*, const T*, T*, T*, T*);                               \
  template void head_dots(const AttentionShape&, const T*, const T*, T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
