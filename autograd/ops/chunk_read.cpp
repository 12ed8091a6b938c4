#include "autograd/ops/chunk_read.h"

#include "autograd/ops/chunk_tile.h"
#include "autograd/scratch.h"

namespace tapestry::cpu {
namespace {

/// den_t = the sum of row t of the scores, + scale q_t.z in chunks that read.
template <class T>
void denominators(const ChunkRead& s, const Chunk& chunk, const T* q, const T* z, const T* scores, T* den) {
  const int64_t n = chunk.tokens, heads = s.grid.n_head;
  for (int64_t t = 0; t < n; ++t) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i <= t; ++i) sum += scores[t * n + i];
    den[t * heads] = sum;
  }
  if (chunk.n == 0) return;
  gemm<T>({.m = n, .n = 1, .k = s.d, .alpha = s.scale, .beta = 1, .lda = heads * s.d, .ldb = 1, .ldc = heads},
          q, z, den);
}

/// What the denominators add: to the gradient of the scores (`products`) before it is used ...
template <class T>
void add_to_rows(int64_t n, int64_t stride, double scale, const T* dden, T* products) {
  for (int64_t t = 0; t < n; ++t) {
    const T value = static_cast<T>(scale) * dden[t * stride];
    for (int64_t i = 0; i <= t; ++i) products[t * n + i] += value;
  }
}

/// ... and by the sums of other chunks, to rows of dq or dk: x_t += factor_t z (factors null: 1).
template <class T>
void add_outer(int64_t n, int64_t d, int64_t ld, double scale, const T* factors, int64_t stride, const T* z,
               T* x) {
  for (int64_t t = 0; t < n; ++t) {
    const T factor = factors ? static_cast<T>(scale) * factors[t * stride] : static_cast<T>(scale);
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) x[t * ld + j] += factor * z[j];
  }
}

}  // namespace

template <class T>
void chunk_read_forward(const ChunkRead& s, const ChunkReadInput<T>& in, T* y, T* den) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e;
  const Scratch<T> scratch(grid.chunk * grid.chunk);
  for_each_chunk(grid, [&](const Chunk& chunk) {
    const int64_t at = chunk.in(grid.rows(ld)), to = chunk.in(grid.rows(le)), n = chunk.tokens;
    T* scores = scratch.mine();
    lower_products(n, s.d, ld, s.scale, in.q + at, in.k + at, false, scores);
    gemm<T>({.m = n, .n = s.e, .k = n, .ldb = le, .ldc = le}, scores, in.v + to, y + to);
    if (chunk.n > 0) {
      const T* state = in.states + chunk.in(grid.states(s.d * s.e)) - s.d * s.e;
      gemm<T>({.m = n, .n = s.e, .k = s.d, .alpha = s.scale, .beta = 1, .lda = ld, .ldc = le}, in.q + at,
              state, y + to);
    }
    if (!in.sums) return;
    denominators(s, chunk, in.q + at, in.sums + chunk.in(grid.states(s.d)) - s.d, scores,
                 den + chunk.in(grid.rows(grid.n_head)));
  });
}

template <class T>
void chunk_read_values(const ChunkRead& s, const T* q, const T* k, const T* dy, const T* dstates, T* dv) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e;
  const Scratch<T> scratch(grid.chunk * grid.chunk);
  for_each_chunk(grid, [&](const Chunk& chunk) {
    const int64_t at = chunk.in(grid.rows(ld)), to = chunk.in(grid.rows(le)), n = chunk.tokens;
    T* scores = scratch.mine();
    lower_products(n, s.d, ld, s.scale, q + at, k + at, false, scores);
    gemm<T>({.m = n, .n = s.e, .k = n, .transpose_a = true, .ldb = le, .ldc = le}, scores, dy + to, dv + to);
    if (!dstates || chunk.n == grid.finished()) return;
    gemm<T>({.m = n, .n = s.e, .k = s.d, .beta = 1, .lda = ld, .ldc = le}, k + at,
            dstates + chunk.in(grid.states(s.d * s.e)), dv + to);
  });
}

template <class T>
void chunk_read_keys(const ChunkRead& s, const ChunkReadInput<T>& in, const ChunkReadGradient<T>& gradient,
                     T* dq, T* dk) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e;
  const Scratch<T> scratch(grid.chunk * grid.chunk);
  for_each_chunk(grid, [&](const Chunk& chunk) {
    const int64_t at = chunk.in(grid.rows(ld)), to = chunk.in(grid.rows(le)), n = chunk.tokens;
    const int64_t state = chunk.in(grid.states(s.d * s.e)), sum = chunk.in(grid.states(s.d));
    const T* dden = gradient.dden ? gradient.dden + chunk.in(grid.rows(grid.n_head)) : nullptr;
    T* products = scratch.mine();
    lower_products(n, s.e, le, s.scale, gradient.dy + to, in.v + to, false, products);
    if (dden) add_to_rows(n, grid.n_head, s.scale, dden, products);
    gemm<T>({.m = n, .n = s.d, .k = n, .ldb = ld, .ldc = ld}, products, in.k + at, dq + at);
    gemm<T>({.m = n, .n = s.d, .k = n, .transpose_a = true, .ldb = ld, .ldc = ld}, products, in.q + at,
            dk + at);
    Gemm by_state{
        .m = n, .n = s.d, .k = s.e, .transpose_b = true, .alpha = s.scale, .beta = 1, .lda = le, .ldc = ld};
    if (chunk.n > 0) {
      gemm<T>(by_state, gradient.dy + to, in.states + state - s.d * s.e, dq + at);
      if (dden) add_outer(n, s.d, ld, s.scale, dden, grid.n_head, in.sums + sum - s.d, dq + at);
    }
    if (chunk.n < grid.finished()) {
      by_state.alpha = 1;
      gemm<T>(by_state, in.v + to, gradient.dstates + state, dk + at);
      if (dden) add_outer<T>(n, s.d, ld, 1, nullptr, 0, gradient.dsums + sum, dk + at);
    }
  });
}

template void chunk_read_forward(const ChunkRead&, const ChunkReadInput<float>&, float*, float*);
template void chunk_read_forward(const ChunkRead&, const ChunkReadInput<double>&, double*, double*);
template void chunk_read_values(const ChunkRead&, const float*, const float*, const float*, const float*,
                                float*);
template void chunk_read_values(const ChunkRead&, const double*, const double*, const double*, const double*,
                                double*);
template void chunk_read_keys(const ChunkRead&, const ChunkReadInput<float>&, const ChunkReadGradient<float>&,
                              float*, float*);
template void chunk_read_keys(const ChunkRead&, const ChunkReadInput<double>&,
                              const ChunkReadGradient<double>&, double*, double*);

}  // namespace tapestry::cpu
