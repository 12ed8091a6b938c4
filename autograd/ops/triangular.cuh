#pragma once

#include "autograd/ops/chunk_parts.cuh"

namespace tapestry::cuda {

/// Rows that one kernel solves by themselves; what they take of the others is a product.
constexpr int kSolveRows = 32;

/// In each chunk the rows [first, first + rows) of X <- (I + A)^-1 X, or of (I + A)^-T X, where they depend
/// on each other only. A thread for each column of X.
template <class T>
void solve_diagonal(const ChunkPart& part, bool transpose, int64_t first, int64_t rows, int64_t columns,
                    const T* a, T* x) {
  const int64_t tiles = ceil_div(columns, kWarp), n = part.tokens, ld = part.grid.n_head * columns;
  for_each_block("solve_unit_lower", part.all() * tiles, kWarp, 0, [=] __device__(int64_t block) {
    SHARED_ARRAY(T, factors, kSolveRows * kSolveRows);
    const int64_t chunk = block / tiles, column = block % tiles * kWarp + threadIdx.x;
    block_for(rows * rows, [=](int64_t i) {
      factors[i / rows * kSolveRows + i % rows] = a[(chunk * n + first + i / rows) * n + first + i % rows];
    });
    __syncthreads();
    if (column >= columns) return;
    const ChunkRow row(part, chunk * n + first);
    T* to = x + row.of_head * columns + column;
    T solved[kSolveRows];
#pragma unroll
    for (int step = 0; step < kSolveRows; ++step) {
      solved[step] = 0;
      if (step >= rows) continue;
      const int64_t i = transpose ? rows - 1 - step : step;
      T value = to[i * ld];
#pragma unroll
      for (int before = 0; before < step; ++before) {
        const int64_t j = transpose ? rows - 1 - before : before;
        value -= (transpose ? factors[j * kSolveRows + i] : factors[i * kSolveRows + j]) * solved[before];
      }
      solved[step] = value;
      to[i * ld] = value;
    }
  });
}

/// X <- (I + A)^-1 X, or (I + A)^-T X, in each chunk, by substitution of blocks of rows: A [tokens, tokens]
/// strictly lower triangular, X rows of `columns` numbers a head. Never by an inverse (ATTENTION section 4,
/// pitfall i).
template <class T>
void solve_unit_lower(const ChunkPart& part, bool transpose, int64_t columns, const T* a, T* x) {
  const int64_t n = part.tokens, ld = part.grid.n_head * columns, blocks = ceil_div(n, kSolveRows);
  for (int64_t step = 0; step < blocks; ++step) {
    const int64_t block = transpose ? blocks - 1 - step : step;
    const int64_t begin = block * kSolveRows, end = std::min(n, begin + kSolveRows);
    // The rows that are solved already: before these, or behind them.
    const int64_t from = transpose ? end : 0, to = transpose ? n : begin;
    if (to > from) {
      const T* factors = transpose ? a + from * n + begin : a + begin * n + from;
      gemm<T>({.m = end - begin,
               .n = columns,
               .k = to - from,
               .transpose_a = transpose,
               .alpha = -1,
               .beta = 1,
               .lda = n,
               .ldb = ld,
               .ldc = ld,
               .batch = part.over(part.own(n * n), part.grid.rows(ld), part.grid.rows(ld))},
              factors, x + part.row(ld) + from * ld, x + part.row(ld) + begin * ld);
    }
    solve_diagonal(part, transpose, begin, end - begin, columns, a, x);
  }
}

}  // namespace tapestry::cuda
