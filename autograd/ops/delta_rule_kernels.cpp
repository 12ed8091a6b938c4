#include <algorithm>

#include "autograd/ops/chunk_tile.h"
#include "autograd/ops/delta_rule.h"
#include "autograd/scratch.h"
#include "autograd/triangular.h"

namespace tapestry::cpu {
namespace {

/// y_i = beta_i x_i: rows of `width` numbers, ldx and ldy apart; those of beta are `stride` apart.
template <class T>
void scale_rows(int64_t rows, int64_t width, const T* beta, int64_t stride, const T* x, int64_t ldx, T* y,
                int64_t ldy) {
  for (int64_t i = 0; i < rows; ++i) {
    const T factor = beta[i * stride];
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) y[i * ldy + j] = factor * x[i * ldx + j];
  }
}

/// dots_i = x_i.y_i for `rows` rows, those of x ldx apart.
template <class T>
void row_dots(int64_t rows, int64_t width, const T* x, int64_t ldx, const T* y, T* dots, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) sum += x[i * ldx + j] * y[i * width + j];
    dots[i * stride] = sum;
  }
}

/// One head after another, the chunks of each in order: what runs from chunk to chunk.
template <class Job>
void for_each_head(const ChunkGrid& grid, const Job& job) {
  parallel_jobs(grid.batch * grid.n_head, job);
}

}  // namespace

template <class T>
void delta_transitions(const ChunkRead& s, const T* k, const T* v, const T* beta, T* w, T* u) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e, stride = grid.n_head;
  const Scratch<T> scratch(grid.chunk * grid.chunk);
  for_each_chunk(grid, [&](const Chunk& chunk) {
    const int64_t at = chunk.in(grid.rows(ld)), to = chunk.in(grid.rows(le)), n = chunk.tokens;
    const T* betas = beta + chunk.in(grid.rows(stride));
    T* a = scratch.mine();
    scale_rows(n, s.d, betas, stride, k + at, ld, w + at, ld);
    lower_products(n, s.d, ld, 1, w + at, k + at, true, a);
    solve_unit_lower(false, n, s.d, a, w + at, ld);
    if (!u) return;
    scale_rows(n, s.e, betas, stride, v + to, le, u + to, le);
    solve_unit_lower(false, n, s.e, a, u + to, le);
  });
}

template <class T>
void delta_scan(const ChunkRead& s, const T* k, const T* w, T* u, T* states) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e, size = s.d * s.e;
  for_each_head(grid, [&](int64_t head) {
    for (int64_t n = 0; n < chunk_count(grid); ++n) {
      const Chunk chunk(grid, head, n);
      const int64_t at = chunk.in(grid.rows(ld));
      T *delta = u + chunk.in(grid.rows(le)), *after = states + chunk.in(grid.states(size));
      if (n > 0) {
        gemm<T>({.m = chunk.tokens, .n = s.e, .k = s.d, .alpha = -1, .beta = 1, .lda = ld, .ldc = le}, w + at,
                after - size, delta);
      }
      if (n == grid.finished()) return;
      if (n > 0) std::copy(after - size, after, after);
      gemm<T>({.m = s.d,
               .n = s.e,
               .k = chunk.tokens,
               .transpose_a = true,
               .beta = n > 0 ? 1.0 : 0.0,
               .lda = ld,
               .ldb = le},
              k + at, delta, after);
    }
  });
}

template <class T>
void delta_scan_backward(const ChunkRead& s, const T* k, const T* w, T* ddelta, T* dstates) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e, size = s.d * s.e;
  for_each_head(grid, [&](int64_t head) {
    for (int64_t n = grid.finished(); n >= 0; --n) {
      const Chunk chunk(grid, head, n);
      const int64_t at = chunk.in(grid.rows(ld));
      T *dd = ddelta + chunk.in(grid.rows(le)), *after = dstates + chunk.in(grid.states(size));
      if (n < grid.finished()) {
        gemm<T>({.m = chunk.tokens, .n = s.e, .k = s.d, .beta = 1, .lda = ld, .ldc = le}, k + at, after, dd);
      }
      if (n == 0) return;
      T* before = after - size;
      if (n < grid.finished()) {
#pragma omp simd
        for (int64_t i = 0; i < size; ++i) before[i] += after[i];
      }
      gemm<T>({.m = s.d,
               .n = s.e,
               .k = chunk.tokens,
               .transpose_a = true,
               .alpha = -1,
               .beta = 1,
               .lda = ld,
               .ldb = le},
              w + at, dd, before);
    }
  });
}

template <class T>
void delta_backward(const ChunkRead& s, const ChunkReadInput<T>& in, const T* beta, const T* delta, T* dk,
                    T* dv, T* dbeta) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e, stride = grid.n_head, c = grid.chunk;
  const Scratch<T> scratch(c * (c + s.e));
  for_each_chunk(grid, [&](const Chunk& chunk) {
    const int64_t at = chunk.in(grid.rows(ld)), to = chunk.in(grid.rows(le)), n = chunk.tokens;
    const int64_t scalars = chunk.in(grid.rows(stride));
    const T *k = in.k + at, *state = in.states + chunk.in(grid.states(s.d * s.e)) - s.d * s.e;
    T *products = scratch.mine(), *error = products + c * c;
    // error = v - k S - tril(k k^T, -1) delta, so that delta = diag(beta) error
    lower_products(n, s.d, ld, 1, k, k, true, products);
    for (int64_t i = 0; i < n; ++i) std::copy(in.v + to + i * le, in.v + to + i * le + s.e, error + i * s.e);
    if (chunk.n > 0)
      gemm<T>({.m = n, .n = s.e, .k = s.d, .alpha = -1, .beta = 1, .lda = ld}, k, state, error);
    gemm<T>({.m = n, .n = s.e, .k = n, .alpha = -1, .beta = 1, .ldb = le}, products, delta + to, error);
    // gamma = (I + A)^-T ddelta;  dbeta = gamma.error, dv = diag(beta) gamma
    scale_rows(n, n, beta + scalars, stride, products, n, products, n);
    solve_unit_lower(true, n, s.e, products, dv + to, le);
    row_dots(n, s.e, dv + to, le, error, dbeta + scalars, stride);
    scale_rows(n, s.e, beta + scalars, stride, dv + to, le, dv + to, le);
    // dk -= dv S^T + B k + B^T k with B = tril(dv delta^T, -1)
    lower_products(n, s.e, le, 1, dv + to, delta + to, true, products);
    Gemm to_dk{.m = n, .n = s.d, .k = n, .alpha = -1, .beta = 1, .ldb = ld, .ldc = ld};
    gemm<T>(to_dk, products, k, dk + at);
    to_dk.transpose_a = true;
    gemm<T>(to_dk, products, k, dk + at);
    if (chunk.n == 0) return;
    gemm<T>({.m = n, .n = s.d, .k = s.e, .transpose_b = true, .alpha = -1, .beta = 1, .lda = le, .ldc = ld},
            dv + to, state, dk + at);
  });
}

template void delta_transitions(const ChunkRead&, const float*, const float*, const float*, float*, float*);
template void delta_transitions(const ChunkRead&, const double*, const double*, const double*, double*,
                                double*);
template void delta_scan(const ChunkRead&, const float*, const float*, float*, float*);
template void delta_scan(const ChunkRead&, const double*, const double*, double*, double*);
template void delta_scan_backward(const ChunkRead&, const float*, const float*, float*, float*);
template void delta_scan_backward(const ChunkRead&, const double*, const double*, double*, double*);
template void delta_backward(const ChunkRead&, const ChunkReadInput<float>&, const float*, const float*,
                             float*, float*, float*);
template void delta_backward(const ChunkRead&, const ChunkReadInput<double>&, const double*, const double*,
                             double*, double*, double*);

}  // namespace tapestry::cpu
