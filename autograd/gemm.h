#pragma once

#include <array>
#include <cstdint>

#include "autograd/bfloat16.h"
#include "autograd/precision.h"

namespace tapestry {

/// C = alpha op(A) op(B) + beta C in row-major order, op(A) [m, k], op(B) [k, n], C [m, n], for every point
/// of a grid of up to three batch axes. With beta = 0, C is not read.
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  double alpha = 1, beta = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // elements from row to row as stored; 0: dense
  /// Of products of float32 operands.
  Precision precision = product_precision();

  /// `count` products, whose operands lie `a`, `b` and `c` elements apart.
  struct Batch {
    int64_t count = 1, a = 0, b = 0, c = 0;
  };
  std::array<Batch, 3> batch{};

  int64_t row_a() const { return lda ? lda : (transpose_a ? m : k); }
  int64_t row_b() const { return ldb ? ldb : (transpose_b ? k : n); }
  int64_t row_c() const { return ldc ? ldc : n; }
  int64_t batch_size() const { return batch[0].count * batch[1].count * batch[2].count; }
};

namespace cpu {
/// One product uses all threads; many small ones run side by side, one thread each. Inside a parallel region:
/// one thread. In is T, or BFloat16 for a float32 C, and then k must be positive.
template <class In, class T>
void gemm(const Gemm& gemm, const In* a, const In* b, T* c);
/// to [rows, n], dense = x, rounded; the rows of x lie `ld` apart.
void round_matrix(const float* x, int64_t rows, int64_t n, int64_t ld, BFloat16* to);
}  // namespace cpu
namespace cuda {
template <class In, class T>
void gemm(const Gemm& gemm, const In* a, const In* b, T* c);
void round_matrix(const float* x, int64_t rows, int64_t n, int64_t ld, BFloat16* to);
}  // namespace cuda

}  // namespace tapestry
