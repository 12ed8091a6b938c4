#include "autograd/ops/block_read.h"

#include <array>
#include <cmath>
#include <limits>

#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/scratch.h"

namespace tapestry::cpu {
namespace {

/// Queries that go through the blocks together, and readers of a block whose products are taken together.
constexpr int64_t kQueries = 2048, kReaders = 32;

using Reader = BlockReaders::Reader;

/// y += alpha x
template <class T>
void axpy(T alpha, const T* x, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

/// Up to kReaders queries of one (batch, head) that read block j. Numbers of pairs are [block, height].
template <class T>
struct Tile {
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
class TileMemory {
 public:
  explicit TileMemory(const RetrievalShape& s)
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
OfReaders<T> of_readers(const Tile<T>& tile, const F& f) {
  OfReaders<T> x{};
  for (int64_t i = 0; i < tile.count(); ++i) x[i] = f(i);
  return x;
}

/// p = the scores with their bias, -infinity for the keys that a reader does not retrieve: those that are
/// local to it.
template <class T>
void finish_scores(const Tile<T>& tile, T* p) {
  const RetrievalShape& s = tile.s;
  const OfReaders<T> bias = of_readers<T>(tile, [&](int64_t i) { return tile.bias(i); });
  OfReaders<int32_t> begin{}, end{};
  for (int64_t i = 0; i < tile.count(); ++i) {
    const auto keys = s.keys(tile.readers[i].token, tile.j);
    begin[i] = static_cast<int32_t>(keys.begin);
    end[i] = static_cast<int32_t>(keys.end);
  }
  const int64_t height = tile.height();
  for (int32_t key = 0; key < s.block; ++key, p += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      const bool read = key >= begin[i] && key < end[i];
      p[i] = read ? p[i] + bias[i] : -std::numeric_limits<T>::infinity();
    }
  }
}

/// p = what the scores p weigh in the softmax that they share with the keys read before, whose normalisers
/// `lse` become those of all; returns what the outputs so far weigh.
template <class T>
OfReaders<T> join_softmax(int64_t block, int64_t height, T* p, OfReaders<T>& lse) {
  OfReaders<T> largest = lse, sum{}, keep;
  for (int64_t at = 0; at < block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) largest[i] = p[at + i] > largest[i] ? p[at + i] : largest[i];
  }
  for (int64_t at = 0; at < block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      p[at + i] = exp_nonpositive(p[at + i] - largest[i]);
      sum[i] += p[at + i];
    }
  }
  for (int64_t i = 0; i < height; ++i) {
    const T before = exp_nonpositive(lse[i] - largest[i]), all = sum[i] + before;
    lse[i] = largest[i] + std::log(all);
    keep[i] = before / all;
    sum[i] = 1 / all;
  }
  for (int64_t at = 0; at < block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) p[at + i] *= sum[i];
  }
  return keep;
}

/// Merges what the tile's readers find in its block into their softmax over what they have read before.
template <class T>
void merge(const Tile<T>& tile, const TileMemory<T>& memory, T* o, T* lse) {
  const auto x = memory.mine();
  const int64_t d = tile.s.head_width;
  tile.gather(tile.in.q, x.q);
  tile.times_block(tile.s.scale, tile.in.k, x.q, x.p);
  finish_scores(tile, x.p);
  OfReaders<T> total = of_readers<T>(tile, [&](int64_t i) { return lse[tile.scalar_of(i)]; });
  const OfReaders<T> keep = join_softmax(tile.s.block, tile.height(), x.p, total);
  tile.weigh_block(1, x.p, tile.in.v, x.y);
  for (int64_t i = 0; i < tile.count(); ++i) {
    lse[tile.scalar_of(i)] = total[i];
    T* to = o + tile.row_of(i);
    const T* from = x.y + i * d;
#pragma omp simd
    for (int64_t e = 0; e < d; ++e) to[e] = keep[i] * to[e] + from[e];
  }
}

/// What backward takes of a tile: q and dout of its readers, p the probabilities of the pairs and dp the
/// gradients of their scores, whose sums are those of the biases.
template <class T>
OfReaders<T> score_gradient(const Tile<T>& tile, const BlockReadGradient<T>& grad,
                            const typename TileMemory<T>::Buffers& x) {
  tile.gather(tile.in.q, x.q);
  tile.gather(grad.dout, x.dout);
  tile.times_block(tile.s.scale, tile.in.k, x.q, x.p);
  tile.times_block(1, tile.in.v, x.dout, x.dp);
  finish_scores(tile, x.p);
  const OfReaders<T> lse = of_readers<T>(tile, [&](int64_t i) { return grad.lse[tile.scalar_of(i)]; });
  const OfReaders<T> D = of_readers<T>(tile, [&](int64_t i) { return grad.D[tile.scalar_of(i)]; });
  OfReaders<T> sums{};
  const int64_t height = tile.height();
  for (int64_t at = 0; at < tile.s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      x.p[at + i] = fast_exp(x.p[at + i] - lse[i]);
      x.dp[at + i] = x.p[at + i] * (x.dp[at + i] - D[i]);
      sums[i] += x.dp[at + i];
    }
  }
  return sums;
}

/// Adds to dq and dr what the tile's readers get, and puts down the gradients of their biases
/// where `dbias` is not null.
template <class T>
void reader_gradient(const Tile<T>& tile, const BlockReadGradient<T>& grad, const TileMemory<T>& memory,
                     T* dbias) {
  const auto x = memory.mine();
  const int64_t d = tile.s.head_width;
  const OfReaders<T> sums = score_gradient(tile, grad, x);
  tile.weigh_block(tile.s.scale, x.dp, tile.in.k, x.y);
  const T factor = static_cast<T>(tile.s.scale) * tile.gain();
  for (int64_t i = 0; i < tile.count(); ++i) {
    axpy(T(1), x.y + i * d, grad.dq + tile.row_of(i), d);
    if (dbias) dbias[tile.slot_of(i)] = sums[i];
    if (tile.in.scores) axpy(factor * sums[i], grad.h + tile.summary(), grad.dr + tile.row_of(i), d);
  }
}

/// Adds to dk, dv and dh what the tile's block gets.
template <class T>
void block_gradient(const Tile<T>& tile, const BlockReadGradient<T>& grad, const TileMemory<T>& memory) {
  const auto x = memory.mine();
  const OfReaders<T> sums = score_gradient(tile, grad, x);
  tile.add_to_block(1, x.p, x.dout, grad.dv);
  tile.add_to_block(tile.s.scale, x.dp, x.q, grad.dk);
  if (!tile.in.scores) return;
  const T factor = static_cast<T>(tile.s.scale) * tile.gain();
  for (int64_t i = 0; i < tile.count(); ++i)
    axpy(factor * sums[i], grad.r + tile.row_of(i), grad.dh + tile.summary(), tile.s.head_width);
}

/// Calls `work(tile)` for the tiles of one block.
template <class T, class Work>
void for_each_tile(const RetrievalShape& s, const BlockRead<T>& in, int64_t bh, int64_t j,
                   std::span<const Reader> readers, const Work& work) {
  for (size_t first = 0; first < readers.size(); first += kReaders)
    work(Tile<T>{s, in, bh, j, readers.subspan(first, std::min<size_t>(kReaders, readers.size() - first))});
}

/// Calls `work(tile)` for all tiles, a piece of queries in one job, which goes from block to block: so each
/// query meets its blocks in their order.
template <class T, class Work>
void for_each_tile_of_queries(const RetrievalShape& s, const BlockRead<T>& in, const Work& work) {
  const int64_t pieces = ceil_div(s.tokens, kQueries);
  parallel_jobs(s.heads() * pieces, [&](int64_t job) {
    const int64_t bh = job / pieces, first = job % pieces * kQueries;
    const BlockReaders readers(s, in.blocks, bh, {first, std::min(first + kQueries, s.tokens)});
    for (int64_t j = 0; j < s.blocks(); ++j) for_each_tile(s, in, bh, j, readers.of(j), work);
  });
}

/// Calls `work(tile)` for all tiles, a block in one job.
template <class T, class Work>
void for_each_tile_of_blocks(const RetrievalShape& s, const BlockRead<T>& in, const Work& work) {
  for (int64_t bh = 0; bh < s.heads(); ++bh) {
    const BlockReaders readers(s, in.blocks, bh, {0, s.tokens});
    parallel_jobs(s.blocks(), [&](int64_t j) { for_each_tile(s, in, bh, j, readers.of(j), work); });
  }
}

/// dgain of each head that retrieves = the sum of its scores times the gradients of the biases.
template <class T>
void gain_gradient(const RetrievalShape& s, const BlockRead<T>& in, const T* dbias, T* dgain) {
  const int64_t size = s.slots * s.tokens;
  std::fill_n(dgain, s.n_head, T(0));
  parallel_jobs(s.retrieving, [&](int64_t head) {
    double sum = 0;
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t i = 0, at = (b * s.retrieving + head) * size; i < size; ++i, ++at)
        if (in.blocks[at] >= 0) sum += static_cast<double>(dbias[at]) * in.scores[at];
    }
    dgain[s.head_of(head)] = static_cast<T>(sum);
  });
}

}  // namespace

template <class T>
void block_read_forward(const RetrievalShape& s, const BlockRead<T>& in, T* o, T* lse) {
  const TileMemory<T> memory(s);
  for_each_tile_of_queries(s, in, [&](const Tile<T>& tile) { merge(tile, memory, o, lse); });
}

template <class T>
void block_read_backward(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad) {
  const TileMemory<T> memory(s);
  std::vector<T> dbias_of_slots(in.gain ? s.heads() * s.slots * s.tokens : 0);
  T* dbias = in.gain ? dbias_of_slots.data() : nullptr;
  for_each_tile_of_queries(s, in, [&](const Tile<T>& tile) { reader_gradient(tile, grad, memory, dbias); });
  for_each_tile_of_blocks(s, in, [&](const Tile<T>& tile) { block_gradient(tile, grad, memory); });
  if (in.gain) gain_gradient(s, in, dbias, grad.dgain);
}

template void block_read_forward(const RetrievalShape&, const BlockRead<float>&, float*, float*);
template void block_read_forward(const RetrievalShape&, const BlockRead<double>&, double*, double*);
template void block_read_backward(const RetrievalShape&, const BlockRead<float>&,
                                  const BlockReadGradient<float>&);
template void block_read_backward(const RetrievalShape&, const BlockRead<double>&,
                                  const BlockReadGradient<double>&);

}  // namespace tapestry::cpu
