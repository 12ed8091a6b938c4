#pragma once

#include <array>
#include <vector>

#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/chunks.h"

/// What the CUDA kernels share that take many chunks of all heads at a time.
namespace tapestry::cuda {

/// Neighbouring chunks of one length, the same ones of each sequence and head, and products over them.
struct ChunkPart {
  ChunkGrid grid;
  int64_t first, count;
  int64_t tokens;  // of a chunk

  using Strides = ChunkGrid::Strides;
  int64_t all() const { return grid.batch * grid.n_head * count; }
  /// Where the first chunk begins in rows of tokens of this width.
  int64_t row(int64_t width) const { return first * grid.chunk * width; }
  /// Of a matrix of `size` numbers for each chunk of the part, [B, H, count, size].
  Strides own(int64_t size) const { return {grid.n_head * count * size, count * size, size}; }
  std::array<Gemm::Batch, 3> over(Strides a, Strides b, Strides c) const { return grid.over(count, a, b, c); }

  /// Those of its chunks that read a state, whose place is one before their own ...
  ChunkPart readers() const {
    const int64_t skip = first == 0 ? 1 : 0;
    return {grid, first + skip, count - skip, tokens};
  }
  int64_t state_read(int64_t size) const { return (first - 1) * size; }
  /// ... and those that leave one, at their own place.
  ChunkPart writers() const {
    return {grid, first, std::clamp<int64_t>(grid.finished() - first, 0, count), tokens};
  }
  int64_t state_left(int64_t size) const { return first * size; }
};

/// All chunks, the ragged last one by itself, in parts whose chunks need at most `most` numbers of scratch
/// together where one needs `size`.
inline std::vector<ChunkPart> chunk_parts(const ChunkGrid& grid, int64_t size,
                                          int64_t most = int64_t{64} << 20) {
  const int64_t full = grid.tokens / grid.chunk, ragged = grid.tokens % grid.chunk;
  const int64_t together = std::max<int64_t>(1, most / std::max<int64_t>(1, size * grid.batch * grid.n_head));
  std::vector<ChunkPart> parts;
  for (int64_t first = 0; first < full; first += together)
    parts.push_back({grid, first, std::min(together, full - first), grid.chunk});
  if (ragged > 0) parts.push_back({grid, full, 1, ragged});
  return parts;
}

/// products_ij = scale a_i.b_j for j <= i (j < i if strict), else 0, in each chunk of the part
/// [B, H, count, tokens, tokens]; a and b are rows of `width` numbers a head.
template <class T>
void lower_products(const ChunkPart& part, int64_t width, double scale, const T* a, const T* b, bool strict,
                    T* products) {
  const int64_t n = part.tokens, ld = part.grid.n_head * width;
  gemm<T>({.m = n,
           .n = n,
           .k = width,
           .transpose_b = true,
           .alpha = scale,
           .lda = ld,
           .ldb = ld,
           .batch = part.over(part.grid.rows(ld), part.grid.rows(ld), part.own(n * n))},
          a + part.row(ld), b + part.row(ld), products);
  for_each_index("lower_products", part.all() * n * n, [=] __device__(int64_t i) {
    const int64_t row = i / n % n, column = i % n;
    if (column > row || (strict && column == row)) products[i] = 0;
  });
}

/// y (+)= alpha op(products) x: products [tokens, tokens] of each chunk, x and y rows of tokens.
template <class T>
void times_rows(const ChunkPart& part, bool transpose, double alpha, const T* products, const T* x, T* y,
                int64_t width, bool accumulate) {
  const int64_t n = part.tokens, ld = part.grid.n_head * width;
  gemm<T>({.m = n,
           .n = width,
           .k = n,
           .transpose_a = transpose,
           .alpha = alpha,
           .beta = accumulate ? 1.0 : 0.0,
           .ldb = ld,
           .ldc = ld,
           .batch = part.over(part.own(n * n), part.grid.rows(ld), part.grid.rows(ld))},
          products, x + part.row(ld), y + part.row(ld));
}

/// y += alpha x S, S [in, out] a state, or with `transpose` [out, in]: `states` is that of the first chunk.
template <class T>
void add_states(const ChunkPart& part, bool transpose, double alpha, const T* x, int64_t in, const T* states,
                T* y, int64_t out) {
  if (part.count <= 0) return;
  const int64_t ld_in = part.grid.n_head * in, ld_out = part.grid.n_head * out;
  gemm<T>({.m = part.tokens,
           .n = out,
           .k = in,
           .transpose_b = transpose,
           .alpha = alpha,
           .beta = 1,
           .lda = ld_in,
           .ldc = ld_out,
           .batch = part.over(part.grid.rows(ld_in), part.grid.states(in * out), part.grid.rows(ld_out))},
          x + part.row(ld_in), states, y + part.row(ld_out));
}

/// Number `i` of the rows [B, H, count, tokens] of a part, and where it lies.
struct ChunkRow {
  int64_t head;   // sequence * n_head + head
  int64_t chunk;  // of the sequence
  int64_t in_chunk;
  int64_t token;  // sequence * tokens + token, of which `of_head` is the place in [B, T, H]
  int64_t of_head;
  __device__ ChunkRow(const ChunkPart& part, int64_t i)
      : head(i / part.tokens / part.count),
        chunk(part.first + i / part.tokens % part.count),
        in_chunk(i % part.tokens),
        token(head / part.grid.n_head * part.grid.tokens + chunk * part.grid.chunk + in_chunk),
        of_head(token * part.grid.n_head + head % part.grid.n_head) {}
};

}  // namespace tapestry::cuda
