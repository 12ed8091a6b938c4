#pragma once

#include <array>
#include <cmath>
#include <limits>

#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/ops/block_read.h"
#include "autograd/scratch.h"

/// The queries that read a block, some at a time, and their scores.
namespace tapestry::cpu {

/// Readers of a block whose products are taken together.
constexpr int64_t kReaders = 32;

using Reader = BlockReaders::Reader;

/// Up to kReaders queries of one (batch, head) that read block j. Numbers of pairs are [block, height].
template <class T>
struct ReaderTile {
  const RetrievalShape& s;
  const BlockRead<T>& in;
  int64_t bh, j;
  std::span<const Reader> readers;

  int64_t count() const { return static_cast<int64_t>(readers.size()); }
  int64_t height() const { return s.tile_rows(kReaders); }
  int64_t row_of(int64_t i) const { return s.head_offset(bh, s.tokens) + readers[i].token * s.width(); }
  int64_t slot_of(int64_t i) const { return s.slot_offset(bh, readers[i].token, readers[i].slot); }
  int64_t scalar_of(int64_t i) const { return s.token_offset(bh) + readers[i].token; }
  int64_t block_rows() const { return s.head_offset(bh, s.tokens) + j * s.block * s.width(); }
  int64_t summary() const { return s.head_offset(bh, s.blocks()) + j * s.width(); }
  T gain() const { return in.gain_of(s.head_of(bh)); }
  /// What is added to the scores of reader i.
  T bias(int64_t i) const { return in.scores ? gain() * in.scores[slot_of(i)] : T(0); }

  /// to [height, d] = the readers' rows of x, zeros below.
  void gather(const T* x, T* to) const {
    for (int64_t i = 0; i < count(); ++i) std::copy_n(x + row_of(i), s.head_width, to + i * s.head_width);
    std::fill(to + count() * s.head_width, to + height() * s.head_width, T(0));
  }
  /// y [block, height] = alpha (the block's rows of `of`) x^T, x [height, d].
  void times_block(double alpha, const T* of, const T* x, T* y) const {
    gemm<T>({.m = s.block,
             .n = height(),
             .k = s.head_width,
             .transpose_b = true,
             .alpha = alpha,
             .lda = s.width()},
            of + block_rows(), x, y);
  }
  /// y [height, d] = alpha p^T (the block's rows of `of`).
  void weigh_block(double alpha, const T* p, const T* of, T* y) const {
    gemm<T>({.m = height(),
             .n = s.head_width,
             .k = s.block,
             .transpose_a = true,
             .alpha = alpha,
             .ldb = s.width()},
            p, of + block_rows(), y);
  }
  /// The block's rows of dx += alpha p y, y [height, d].
  void add_to_block(double alpha, const T* p, const T* y, T* dx) const {
    gemm<T>({.m = s.block, .n = s.head_width, .k = height(), .alpha = alpha, .beta = 1, .ldc = s.width()}, p,
            y, dx + block_rows());
  }
};

/// Buffers of a tile.
template <class T>
class ReaderTileMemory {
 public:
  explicit ReaderTileMemory(const RetrievalShape& s)
      : rows_(kReaders * s.head_width), pairs_(kReaders * s.block), scratch_(3 * rows_ + 2 * pairs_) {}
  struct Buffers {
    T *q, *dout, *y;  // [height, d]
    T *p, *dp;        // [block, height]
  };
  Buffers mine() const {
    T* at = scratch_.mine();
    return {at, at + rows_, at + 2 * rows_, at + 3 * rows_, at + 3 * rows_ + pairs_};
  }

 private:
  int64_t rows_, pairs_;
  Scratch<T> scratch_;
};

/// A number for each reader of a tile.
template <class T>
using OfReaders = std::array<T, kReaders>;

/// f(i) for the readers, 0 for unused places.
template <class T, class F>
OfReaders<T> of_readers(const ReaderTile<T>& tile, const F& f) {
  OfReaders<T> x{};
  for (int64_t i = 0; i < tile.count(); ++i) x[i] = f(i);
  return x;
}

/// By reader, the largest of `largest` and its scores p [block, height].
template <class T>
OfReaders<T> largest_with(OfReaders<T> largest, int64_t block, int64_t height, const T* p) {
  for (int64_t at = 0; at < block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) largest[i] = p[at + i] > largest[i] ? p[at + i] : largest[i];
  }
  return largest;
}

/// By reader, the log of the mean exponential of the scores that are not -infinity, of which there are
/// `count`; 0 where there is none.
template <class T>
OfReaders<T> log_mean_exp(const RetrievalShape& s, int64_t height, const T* p,
                          const OfReaders<int32_t>& count) {
  OfReaders<T> lowest, sum{};
  lowest.fill(std::numeric_limits<T>::lowest());
  const OfReaders<T> largest = largest_with(lowest, s.block, height, p);
  for (int64_t at = 0; at < s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) sum[i] += exp_nonpositive(p[at + i] - largest[i]);
  }
  for (int64_t i = 0; i < height; ++i)
    sum[i] = count[i] > 0 ? largest[i] + std::log(sum[i] / static_cast<T>(count[i])) : T(0);
  return sum;
}

/// p = the scores with their bias, -infinity for the keys that a reader does not retrieve: those that are
/// local to it.
template <class T>
void finish_scores(const ReaderTile<T>& tile, T* p) {
  const RetrievalShape& s = tile.s;
  OfReaders<int32_t> begin{}, end{}, count{};
  for (int64_t i = 0; i < tile.count(); ++i) {
    const auto keys = s.keys(tile.readers[i].token, tile.j);
    begin[i] = static_cast<int32_t>(keys.begin);
    end[i] = static_cast<int32_t>(keys.end);
    count[i] = end[i] - begin[i];
  }
  const int64_t height = tile.height();
  for (int32_t key = 0; key < s.block; ++key) {
    T* scores = p + key * height;
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      const bool read = key >= begin[i] && key < end[i];
      scores[i] = read ? scores[i] : -std::numeric_limits<T>::infinity();
    }
  }
  OfReaders<T> bias = of_readers<T>(tile, [&](int64_t i) { return tile.bias(i); });
  if (s.hierarchical) {
    const OfReaders<T> mean = log_mean_exp(s, height, p, count);
    for (int64_t i = 0; i < height; ++i) bias[i] -= mean[i];
  }
  for (int64_t at = 0; at < s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) p[at + i] += bias[i];
  }
}

}  // namespace tapestry::cpu
