#pragma once

#include <array>
#include <cstdint>

#include "autograd/device.h"
#include "autograd/gemm.h"

namespace tapestry {

/// Finished chunks that some later token of the sequence can read: N of ATTENTION section 0.1.
constexpr int64_t finished_chunks(int64_t tokens, int64_t chunk) { return (tokens - 1) / chunk; }

/// Chunks with equal keys are common, and rounding alone must not choose among them: chunk j is picked by its
/// score plus j times this, tau of ATTENTION sections 7.1 and 7.6.
constexpr double kTieBreak = 1e-5;
/// Of the scores by which chunks and blocks are chosen, whatever other products are in: the parallel form and
/// decoding, whose products have other sizes, choose alike.
constexpr Precision kChoicePrecision = Precision::float32;

/// Batched products over (sequence, head, chunk): where the operands of a Gemm lie that are rows of tokens
/// [B, T, H w] or states [B, H, N, size].
struct ChunkGrid {
  int64_t batch, tokens, n_head, chunk;
  using Strides = std::array<int64_t, 3>;

  int64_t finished() const { return finished_chunks(tokens, chunk); }
  Strides rows(int64_t width) const { return {tokens * width, width / n_head, chunk * width}; }
  Strides states(int64_t size) const { return {n_head * finished() * size, finished() * size, size}; }
  /// The batch axes for `chunks` chunks of each head and sequence.
  std::array<Gemm::Batch, 3> over(int64_t chunks, Strides a, Strides b, Strides c) const {
    return {Gemm::Batch{batch, a[0], b[0], c[0]}, Gemm::Batch{n_head, a[1], b[1], c[1]},
            Gemm::Batch{chunks, a[2], b[2], c[2]}};
  }
  /// The product k^T v over the tokens of each finished chunk: k [B, T, H d], v [B, T, H e] ->
  /// [B, H, N, d, e].
  Gemm state_product(int64_t d, int64_t e, double scale) const {
    return {.m = d,
            .n = e,
            .k = chunk,
            .transpose_a = true,
            .alpha = scale,
            .lda = n_head * d,
            .ldb = n_head * e,
            .batch = over(finished(), rows(n_head * d), rows(n_head * e), states(d * e))};
  }
};

/// Chunks of one length that read a state: those that are full, and a ragged last one.
struct ChunkReaders {
  int64_t first;  // place of its state
  int64_t chunks;
  int64_t tokens;  // in each of them
};
std::array<ChunkReaders, 2> chunk_readers(const ChunkGrid& grid);

/// The gradient of the states that chunks 1..N read as y = scale q S: dS_n (+)= scale q^T dy over the tokens
/// of chunk n, in place n - 1. q [B, T, H d], dy [B, T, H e] -> [B, H, N, d, e].
template <class T>
void read_gradient(const ChunkGrid& grid, Device device, int64_t d, int64_t e, double scale, const T* q,
                   const T* dy, T* dstates, bool accumulate);

namespace cpu {
/// Zeros in rows [begin, end) of each of the matrices [rows, width].
template <class T>
void zero_rows(T* x, int64_t matrices, int64_t rows, int64_t width, int64_t begin, int64_t end);
}  // namespace cpu
namespace cuda {
template <class T>
void zero_rows(T* x, int64_t matrices, int64_t rows, int64_t width, int64_t begin, int64_t end);
}  // namespace cuda

}  // namespace tapestry
