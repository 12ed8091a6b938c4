#include "autograd/math.h"
#include "autograd/memory.h"
#include "autograd/ops/chunk_parts.cuh"
#include "autograd/ops/relu2_attention.h"

namespace tapestry::cuda {
namespace {

constexpr int64_t kTile = 128;  // queries and keys

/// Queries and keys of every chunk of a part, counted from the start of the chunk, and products over them.
struct Tile {
  const Relu2Shape& s;
  ChunkPart part;
  int64_t query, queries, key, keys;

  int64_t size() const { return queries * keys; }
  /// Where rows of `width` numbers begin.
  int64_t at(int64_t token, int64_t width) const { return part.row(width) + token * width; }
  int64_t query_at(int64_t width) const { return at(query - s.past, width); }
  ChunkGrid::Strides rows(int64_t width) const { return part.grid.rows(width); }

  /// y [queries, keys] = alpha a b^T, a rows of the queries and b of the keys.
  template <class T>
  void outer(double alpha, const T* a, const T* b, int64_t width, T* y) const {
    gemm<T>({.m = queries,
             .n = keys,
             .k = width,
             .transpose_b = true,
             .alpha = alpha,
             .batch = part.over(rows(width), rows(width), part.own(size()))},
            a + query_at(width), b + at(key, width), y);
  }
  /// to of the queries += alpha x from of the keys
  template <class T>
  void to_queries(double alpha, const T* x, const T* from, int64_t width, T* to) const {
    gemm<T>(over_rows(queries, keys, false, alpha, width), x, from + at(key, width), to + query_at(width));
  }
  /// to of the keys += alpha x^T from of the queries
  template <class T>
  void to_keys(double alpha, const T* x, const T* from, int64_t width, T* to) const {
    gemm<T>(over_rows(keys, queries, true, alpha, width), x, from + query_at(width), to + at(key, width));
  }

 private:
  Gemm over_rows(int64_t m, int64_t k, bool transpose, double alpha, int64_t width) const {
    return {.m = m,
            .n = width,
            .k = k,
            .transpose_a = transpose,
            .alpha = alpha,
            .beta = 1,
            .batch = part.over(part.own(size()), rows(width), rows(width))};
  }
};

/// Calls `work(tile)` for tiles that together hold all queries with all keys that they see.
template <class Work>
void for_each_tile(const Relu2Shape& s, const Work& work) {
  for (const ChunkPart& part : chunk_parts(s.grid, kTile * kTile)) {
    for (int64_t query = s.past; query < part.tokens; query += kTile) {
      const int64_t end = std::min(query + kTile, part.tokens);
      for (int64_t key = 0; key < end; key += kTile)
        work(Tile{s, part, query, end - query, key, std::min(key + kTile, end) - key});
    }
  }
}

/// scores -> max(scores + bias, 0)^2, and 0 for later keys.
template <class T>
void square_positive(const Tile& tile, const T* bias, T* scores) {
  const int64_t queries = tile.queries, keys = tile.keys, shift = tile.query - tile.key;
  for_each_index("relu2 scores", tile.part.all() * tile.size(), [=] __device__(int64_t i) {
    const int64_t distance = shift + i / keys % queries - i % keys;
    scores[i] = distance >= 0 ? Relu2::value(scores[i] + bias[distance]) : T(0);
  });
}

/// The same, and da -> the gradient of the scores.
template <class T>
void square_positive_gradient(const Tile& tile, const T* bias, T* scores, T* da) {
  const int64_t queries = tile.queries, keys = tile.keys, shift = tile.query - tile.key;
  for_each_index("relu2 gradient", tile.part.all() * tile.size(), [=] __device__(int64_t i) {
    const int64_t distance = shift + i / keys % queries - i % keys;
    const T x = distance >= 0 ? scores[i] + bias[distance] : T(0);
    scores[i] = Relu2::value(x);
    da[i] = distance >= 0 ? da[i] * Relu2::derivative(x) : T(0);
  });
}

/// dbias of each chunk += the sums of da along the diagonals.
template <class T>
void add_diagonals(const Tile& tile, const T* da, T* dbias) {
  const ChunkPart part = tile.part;
  const int64_t queries = tile.queries, keys = tile.keys, shift = tile.query - tile.key;
  const int64_t diagonals = queries + keys - 1, chunks = part.grid.finished() + 1;
  for_each_index("relu2 bias", part.all() * diagonals, [=] __device__(int64_t i) {
    const int64_t chunk = i / diagonals, from_diagonal = i % diagonals - (keys - 1);
    if (shift + from_diagonal < 0) return;
    T sum = 0;
    for (int64_t row = 0; row < queries; ++row) {
      const int64_t column = row - from_diagonal;
      if (column >= 0 && column < keys) sum += da[(chunk * queries + row) * keys + column];
    }
    const int64_t number = chunk / part.count * chunks + part.first + chunk % part.count;
    dbias[number * part.grid.chunk + shift + from_diagonal] += sum;
  });
}

}  // namespace

template <class T>
void relu2_attention_forward(const Relu2Shape& s, const T* q, const T* k, const T* v, const T* bias, T* o) {
  fill(o, T(0), s.grid.batch * (s.grid.tokens - s.past) * s.value_width);
  for_each_tile(s, [&](const Tile& tile) {
    DeviceArray<T> memory(tile.part.all() * tile.size());
    T* scores = memory.data();
    tile.outer(s.scale, q, k, s.width, scores);
    square_positive(tile, bias, scores);
    tile.to_queries(1, scores, v, s.value_width, o);
  });
}

template <class T>
void relu2_attention_backward(const Relu2Shape& s, const T* q, const T* k, const T* v, const T* bias,
                              const T* dout, T* dq, T* dk, T* dv, T* dbias) {
  const int64_t tokens = s.grid.batch * s.grid.tokens;
  fill(dq, T(0), tokens * s.width);
  fill(dk, T(0), tokens * s.width);
  fill(dv, T(0), tokens * s.value_width);
  fill(dbias, T(0), s.chunks() * s.grid.chunk);
  for_each_tile(s, [&](const Tile& tile) {
    DeviceArray<T> memory(2 * tile.part.all() * tile.size());
    T *a = memory.data(), *da = a + tile.part.all() * tile.size();
    tile.outer(s.scale, q, k, s.width, a);
    tile.outer(1, dout, v, s.value_width, da);
    square_positive_gradient(tile, bias, a, da);
    add_diagonals(tile, da, dbias);
    tile.to_keys(1, a, dout, s.value_width, dv);
    tile.to_keys(s.scale, da, q, s.width, dk);
    tile.to_queries(s.scale, da, k, s.width, dq);
  });
}

#define INSTANTIATE(T)                                                                                  \
  template void relu2_attention_forward(const Relu2Shape&, const T*, const T*, const T*, const T*, T*); \
  template void relu2_attention_backward(const Relu2Shape&, const T*, const T*, const T*, const T*,     \
                                         const T*, T*, T*, T*, T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
