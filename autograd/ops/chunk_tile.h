#pragma once

#include <algorithm>

#include "autograd/ops/chunks.h"
#include "base/parallel.h"

/// What the CPU kernels share that take one chunk of one head at a time.
namespace tapestry::cpu {

/// Chunk `n` of one head, a ragged last one included.
struct Chunk {
  int64_t sequence, head, n, tokens;

  Chunk(const ChunkGrid& grid, int64_t sequence_head, int64_t n)
      : sequence(sequence_head / grid.n_head),
        head(sequence_head % grid.n_head),
        n(n),
        tokens(std::min(grid.chunk, grid.tokens - n * grid.chunk)) {}
  /// Where its part of an array begins, whose strides are grid.rows or grid.states.
  int64_t in(const ChunkGrid::Strides& strides) const {
    return sequence * strides[0] + head * strides[1] + n * strides[2];
  }
};

inline int64_t chunk_count(const ChunkGrid& grid) { return grid.finished() + 1; }

/// Calls `job(chunk)` for every chunk of every head, side by side.
template <class Job>
void for_each_chunk(const ChunkGrid& grid, const Job& job) {
  const int64_t chunks = chunk_count(grid);
  parallel_jobs(grid.batch * grid.n_head * chunks,
                [&](int64_t i) { job(Chunk(grid, i / chunks, i % chunks)); });
}

/// Zero right of the diagonal, and from it on if `strict`: x [n, n].
template <class T>
void lower_part(T* x, int64_t n, bool strict) {
  for (int64_t i = 0; i < n; ++i) std::fill(x + i * n + i + (strict ? 0 : 1), x + (i + 1) * n, T(0));
}

/// products_ij = scale a_i.b_j for j <= i (j < i if strict), else 0: a and b are `n` rows of `width` numbers,
/// `ld` apart.
template <class T>
void lower_products(int64_t n, int64_t width, int64_t ld, double scale, const T* a, const T* b, bool strict,
                    T* products) {
  gemm<T>({.m = n, .n = n, .k = width, .transpose_b = true, .alpha = scale, .lda = ld, .ldb = ld}, a, b,
          products);
  lower_part(products, n, strict);
}

}  // namespace tapestry::cpu
