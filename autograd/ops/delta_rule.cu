#include "autograd/ops/delta_rule.h"

#include "autograd/memory.h"
#include "autograd/ops/triangular.cuh"

namespace tapestry::cuda {
namespace {

/// y = diag(beta) x for all tokens, rows of `width` numbers a head.
template <class T>
void scale_rows(const ChunkGrid& grid, int64_t width, const T* beta, const T* x, T* y) {
  for_each_index("delta_rule scale", grid.batch * grid.tokens * grid.n_head * width,
                 [=] __device__(int64_t i) { y[i] = beta[i / width] * x[i]; });
}

/// Products over all heads for one chunk: x and y rows of tokens, states at place `state`.
ChunkPart one_chunk(const ChunkGrid& grid, int64_t n) {
  return {grid, n, 1, std::min(grid.chunk, grid.tokens - n * grid.chunk)};
}

/// state += alpha x^T y over the tokens of the chunk (= if not accumulate).
template <class T>
void add_to_state(const ChunkRead& s, const ChunkPart& chunk, double alpha, const T* x, const T* y, T* state,
                  bool accumulate) {
  const ChunkGrid& grid = s.grid;
  const int64_t ld = grid.n_head * s.d, le = grid.n_head * s.e;
  gemm<T>({.m = s.d,
           .n = s.e,
           .k = chunk.tokens,
           .transpose_a = true,
           .alpha = alpha,
           .beta = accumulate ? 1.0 : 0.0,
           .lda = ld,
           .ldb = le,
           .batch = chunk.over(grid.rows(ld), grid.rows(le), grid.states(s.d * s.e))},
          x + chunk.row(ld), y + chunk.row(le), state);
}

/// to (+)= from at two places of the states of each head.
template <class T>
void pass_state(const ChunkRead& s, const T* from, T* to, bool accumulate) {
  const int64_t size = s.d * s.e, stride = s.grid.finished() * size;
  for_each_index("delta_rule state", s.grid.batch * s.grid.n_head * size, [=] __device__(int64_t i) {
    const int64_t at = i / size * stride + i % size;
    put(to[at], from[at], accumulate);
  });
}

/// dbeta_t = dv_t.error_t
template <class T>
void row_dots(const ChunkGrid& grid, int64_t width, const T* x, const T* y, T* dots) {
  for_each_row("delta_rule dots", grid.batch * grid.tokens * grid.n_head, width, [=] __device__(int64_t row) {
    const T *a = x + row * width, *b = y + row * width;
    const T dot = block_sum<T>(width, [=](int64_t i) { return a[i] * b[i]; });
    if (threadIdx.x == 0) dots[row] = dot;
  });
}

/// products_ij *= beta_i
template <class T>
void scale_products(const ChunkPart& part, const T* beta, T* products) {
  const int64_t n = part.tokens;
  for_each_index("delta_rule products", part.all() * n * n,
                 [=] __device__(int64_t i) { products[i] *= beta[ChunkRow(part, i / n).of_head]; });
}

}  // namespace

template <class T>
void delta_transitions(const ChunkRead& s, const T* k, const T* v, const T* beta, T* w, T* u) {
  scale_rows(s.grid, s.d, beta, k, w);
  if (u) scale_rows(s.grid, s.e, beta, v, u);
  for (const ChunkPart& part : chunk_parts(s.grid, s.grid.chunk * s.grid.chunk)) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* a = memory.data();
    lower_products(part, s.d, 1, w, k, true, a);
    solve_unit_lower(part, false, s.d, a, w);
    if (u) solve_unit_lower(part, false, s.e, a, u);
  }
}

template <class T>
void delta_scan(const ChunkRead& s, const T* k, const T* w, T* u, T* states) {
  const int64_t size = s.d * s.e, finished = s.grid.finished();
  for (int64_t n = 0; n <= finished; ++n) {
    const ChunkPart chunk = one_chunk(s.grid, n);
    T* after = states + n * size;
    if (n > 0) add_states(chunk, false, -1, w, s.d, after - size, u, s.e);
    if (n == finished) return;
    if (n > 0) pass_state<T>(s, after - size, after, false);
    add_to_state(s, chunk, 1, k, u, after, n > 0);
  }
}

template <class T>
void delta_scan_backward(const ChunkRead& s, const T* k, const T* w, T* ddelta, T* dstates) {
  const int64_t size = s.d * s.e, finished = s.grid.finished();
  for (int64_t n = finished; n >= 0; --n) {
    const ChunkPart chunk = one_chunk(s.grid, n);
    T* after = dstates + n * size;
    if (n < finished) add_states(chunk, false, 1, k, s.d, after, ddelta, s.e);
    if (n == 0) return;
    T* before = after - size;
    if (n < finished) pass_state<T>(s, after, before, true);
    add_to_state(s, chunk, -1, w, ddelta, before, true);
  }
}

template <class T>
void delta_backward(const ChunkRead& s, const ChunkReadInput<T>& in, const T* beta, const T* delta, T* dk,
                    T* dv, T* dbeta) {
  const ChunkGrid& grid = s.grid;
  const int64_t rows = grid.batch * grid.tokens * grid.n_head, size = s.d * s.e;
  DeviceArray<T> error_memory(rows * s.e);
  T* error = error_memory.data();
  copy_on_device(error, in.v, rows * s.e * static_cast<int64_t>(sizeof(T)));
  const std::vector<ChunkPart> parts = chunk_parts(grid, grid.chunk * grid.chunk);
  for (const ChunkPart& part : parts) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* products = memory.data();
    const ChunkPart readers = part.readers();
    // error = v - k S - tril(k k^T, -1) delta, so that delta = diag(beta) error
    lower_products(part, s.d, 1, in.k, in.k, true, products);
    add_states(readers, false, -1, in.k, s.d, in.states + readers.state_read(size), error, s.e);
    times_rows(part, false, -1, products, delta, error, s.e, true);
    // gamma = (I + A)^-T ddelta
    scale_products(part, beta, products);
    solve_unit_lower(part, true, s.e, products, dv);
  }
  // dbeta = gamma.error, dv = diag(beta) gamma
  row_dots<T>(grid, s.e, dv, error, dbeta);
  scale_rows<T>(grid, s.e, beta, dv, dv);
  // dk -= dv S^T + B k + B^T k with B = tril(dv delta^T, -1)
  for (const ChunkPart& part : parts) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* products = memory.data();
    lower_products<T>(part, s.e, 1, dv, delta, true, products);
    times_rows(part, false, -1, products, in.k, dk, s.d, true);
    times_rows(part, true, -1, products, in.k, dk, s.d, true);
    const ChunkPart readers = part.readers();
    add_states<T>(readers, true, -1, dv, s.e, in.states + readers.state_read(size), dk, s.d);
  }
}

#define INSTANTIATE(T)                                                                     \
  template void delta_transitions(const ChunkRead&, const T*, const T*, const T*, T*, T*); \
  template void delta_scan(const ChunkRead&, const T*, const T*, T*, T*);                  \
  template void delta_scan_backward(const ChunkRead&, const T*, const T*, T*, T*);         \
  template void delta_backward(const ChunkRead&, const ChunkReadInput<T>&, const T*, const T*, T*, T*, T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
