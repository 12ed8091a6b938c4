#include "autograd/ops/block_read.h"

#include <cmath>

#include "autograd/math.h"
#include "autograd/ops/block_read_tile.h"

namespace tapestry::cpu {
namespace {

/// Queries that go through the blocks together.
constexpr int64_t kQueries = 2048;
/// Jobs that backward shares a piece of queries out to.
constexpr int64_t kJobs = 4;

/// y += alpha x
template <class T>
void axpy(T alpha, const T* x, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

/// Calls `work(tile)` for the tiles of one block.
template <class T, class Work>
void for_each_tile(const RetrievalShape& s, const BlockRead<T>& in, int64_t bh, int64_t j,
                   std::span<const Reader> readers, const Work& work) {
  for (size_t first = 0; first < readers.size(); first += kReaders)
    work(ReaderTile<T>{s, in, bh, j,
                       readers.subspan(first, std::min<size_t>(kReaders, readers.size() - first))});
}

/// The softmax of the readers so far: exp(largest) times `sum` is the sum of their exponentials.
template <class T>
struct RunningSoftmax {
  OfReaders<T> largest, sum;
};

/// p = exp(p - largest) for the scores p, which `softmax` takes in; returns what the outputs so far are to be
/// multiplied with.
template <class T>
OfReaders<T> take_in(int64_t block, int64_t height, T* p, RunningSoftmax<T>& softmax) {
  const OfReaders<T> largest = largest_with(softmax.largest, block, height, p);
  OfReaders<T> sum{}, keep;
  for (int64_t at = 0; at < block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      p[at + i] = exp_nonpositive(p[at + i] - largest[i]);
      sum[i] += p[at + i];
    }
  }
#pragma omp simd
  for (int64_t i = 0; i < height; ++i) {
    keep[i] = exp_nonpositive(softmax.largest[i] - largest[i]);
    softmax.sum[i] = keep[i] * softmax.sum[i] + sum[i];
  }
  softmax.largest = largest;
  return keep;
}

/// A piece of queries of one (batch, head) that goes from block to block: so each query meets its blocks in
/// their order.
template <class T>
class PieceForward {
 public:
  PieceForward(const RetrievalShape& s, const BlockRead<T>& in, const ReaderTileMemory<T>& memory, T* o,
               T* lse)
      : s_(s), in_(in), memory_(memory), o_(o), lse_(lse) {}

  void read(int64_t bh, RetrievalShape::Range queries) {
    first_ = queries.begin;
    sum_.assign(queries.end - queries.begin, T(1));
    const BlockReaders readers(s_, in_.blocks, bh, queries);
    for (int64_t j = 0; j < s_.blocks(); ++j)
      for_each_tile(s_, in_, bh, j, readers.of(j), [&](const ReaderTile<T>& tile) { merge(tile); });
    finish(bh, queries);
  }

 private:
  /// Adds what the tile's readers find in its block. Until the end lse holds their largest scores, and o the
  /// values times exponentials.
  void merge(const ReaderTile<T>& tile) {
    const auto x = memory_.mine();
    const int64_t d = s_.head_width;
    tile.gather(in_.q, x.q);
    tile.times_block(s_.scale, in_.k, x.q, x.p);
    finish_scores(tile, x.p);
    RunningSoftmax<T> softmax{
        of_readers<T>(tile, [&](int64_t i) { return lse_[tile.scalar_of(i)]; }),
        of_readers<T>(tile, [&](int64_t i) { return sum_[tile.readers[i].token - first_]; })};
    const OfReaders<T> keep = take_in(s_.block, tile.height(), x.p, softmax);
    tile.weigh_block(1, x.p, in_.v, x.y);
    for (int64_t i = 0; i < tile.count(); ++i) {
      lse_[tile.scalar_of(i)] = softmax.largest[i];
      sum_[tile.readers[i].token - first_] = softmax.sum[i];
      T* to = o_ + tile.row_of(i);
      const T* from = x.y + i * d;
#pragma omp simd
      for (int64_t e = 0; e < d; ++e) to[e] = keep[i] * to[e] + from[e];
    }
  }
  void finish(int64_t bh, RetrievalShape::Range queries) {
    for (int64_t t = queries.begin; t < queries.end; ++t) {
      const T sum = sum_[t - first_];
      T* to = o_ + s_.head_offset(bh, s_.tokens) + t * s_.width();
#pragma omp simd
      for (int64_t e = 0; e < s_.head_width; ++e) to[e] /= sum;
      lse_[s_.token_offset(bh) + t] += std::log(sum);
    }
  }

  const RetrievalShape& s_;
  const BlockRead<T>& in_;
  const ReaderTileMemory<T>& memory_;
  T *o_, *lse_;
  int64_t first_ = 0;
  std::vector<T> sum_;  // of the queries, see RunningSoftmax
};

/// dp -= the shares of the tokens in their block's gradient, which goes to the block's score alone.
template <class T>
void take_block_gradient(const RetrievalShape& s, int64_t height, const T* p, const OfReaders<T>& sums,
                         T* dp) {
  OfReaders<T> weight{};
  for (int64_t at = 0; at < s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) weight[i] += p[at + i];
  }
  for (int64_t i = 0; i < height; ++i) weight[i] = weight[i] > 0 ? sums[i] / weight[i] : T(0);
  for (int64_t at = 0; at < s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) dp[at + i] -= p[at + i] * weight[i];
  }
}

/// p = the probabilities of the pairs, dp = the gradients of their scores; returns those of the biases.
template <class T>
OfReaders<T> score_gradient(const ReaderTile<T>& tile, const BlockReadGradient<T>& grad, T* p, T* dp) {
  finish_scores(tile, p);
  const OfReaders<T> lse = of_readers<T>(tile, [&](int64_t i) { return grad.lse[tile.scalar_of(i)]; });
  const OfReaders<T> D = of_readers<T>(tile, [&](int64_t i) { return grad.D[tile.scalar_of(i)]; });
  OfReaders<T> sums{};
  const int64_t height = tile.height();
  for (int64_t at = 0; at < tile.s.block * height; at += height) {
#pragma omp simd
    for (int64_t i = 0; i < height; ++i) {
      p[at + i] = fast_exp(p[at + i] - lse[i]);
      dp[at + i] = p[at + i] * (dp[at + i] - D[i]);
      sums[i] += dp[at + i];
    }
  }
  if (tile.s.hierarchical) take_block_gradient(tile.s, height, p, sums, dp);
  return sums;
}

/// Gradients of the rows of a piece of queries, through those blocks that one job takes: [queries, d].
template <class T>
struct QueryGradient {
  T *dq, *dr;
};

/// Adds to dk, dv and dh what the tile's block gets, to `mine` what its readers get, whose piece begins with
/// query `first`, and puts down the gradients of their biases where `dbias` is not null.
template <class T>
void tile_gradient(const ReaderTile<T>& tile, const BlockReadGradient<T>& grad,
                   const ReaderTileMemory<T>& memory, int64_t first, const QueryGradient<T>& mine, T* dbias) {
  const auto x = memory.mine();
  const double scale = tile.s.scale;
  const int64_t d = tile.s.head_width;
  tile.gather(tile.in.q, x.q);
  tile.gather(grad.dout, x.dout);
  tile.times_block(scale, tile.in.k, x.q, x.p);
  tile.times_block(1, tile.in.v, x.dout, x.dp);
  const OfReaders<T> sums = score_gradient(tile, grad, x.p, x.dp);
  tile.add_to_block(1, x.p, x.dout, grad.dv);
  tile.add_to_block(scale, x.dp, x.q, grad.dk);
  tile.weigh_block(scale, x.dp, tile.in.k, x.y);
  const T factor = static_cast<T>(scale) * tile.gain();
  for (int64_t i = 0; i < tile.count(); ++i) {
    const int64_t row = (tile.readers[i].token - first) * d;
    axpy(T(1), x.y + i * d, mine.dq + row, d);
    if (dbias) dbias[tile.slot_of(i)] = sums[i];
    if (!tile.in.scores) continue;
    axpy(factor * sums[i], grad.h + tile.summary(), mine.dr + row, d);
    axpy(factor * sums[i], grad.r + tile.row_of(i), grad.dh + tile.summary(), d);
  }
}

/// Backward of a piece of queries through some heads at a time. A head's blocks are shared out to a number of
/// jobs that does not depend on the threads, each with rows of its own for the queries.
template <class T>
class PieceGradient {
 public:
  PieceGradient(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad, T* dbias)
      : s_(s),
        in_(in),
        grad_(grad),
        dbias_(dbias),
        memory_(s),
        parts_(std::max<int64_t>(kJobs / s.heads(), 1)),
        heads_at_once_(std::min(s.heads(), kJobs)),
        row_size_(std::min(kQueries, s.tokens) * s.head_width),
        rows_(Tensor::empty({heads_at_once_ * parts_, 2, row_size_}, dtype_of<T>())) {}

  /// Of heads from `bh` on, as many as there are jobs for.
  void add(int64_t bh, RetrievalShape::Range queries) {
    const int64_t heads = std::min(heads_at_once_, s_.heads() - bh);
    readers_.resize(heads);
    parallel_jobs(heads, [&](int64_t head) { readers_[head] = {s_, in_.blocks, bh + head, queries}; });
    parallel_jobs(heads * parts_, [&](int64_t job) { go_through(bh + job / parts_, job, queries.begin); });
    parallel_jobs(heads, [&](int64_t head) { add_up(bh + head, head * parts_, queries); });
  }
  int64_t heads_at_once() const { return heads_at_once_; }

 private:
  void go_through(int64_t bh, int64_t job, int64_t first) {
    const BlockReaders& readers = readers_[job / parts_];
    const QueryGradient<T> mine = rows_of(job);
    std::fill_n(mine.dq, 2 * row_size_, T(0));
    for (int64_t j = job % parts_; j < s_.blocks(); j += parts_)
      for_each_tile(s_, in_, bh, j, readers.of(j), [&](const ReaderTile<T>& tile) {
        tile_gradient(tile, grad_, memory_, first, mine, dbias_);
      });
  }
  void add_up(int64_t bh, int64_t first_job, RetrievalShape::Range queries) {
    const int64_t d = s_.head_width;
    for (int64_t t = queries.begin; t < queries.end; ++t) {
      const int64_t to = s_.head_offset(bh, s_.tokens) + t * s_.width(), from = (t - queries.begin) * d;
      for (int64_t job = first_job; job < first_job + parts_; ++job) {
        const QueryGradient<T> part = rows_of(job);
        axpy(T(1), part.dq + from, grad_.dq + to, d);
        if (in_.scores) axpy(T(1), part.dr + from, grad_.dr + to, d);
      }
    }
  }
  QueryGradient<T> rows_of(int64_t job) {
    T* rows = rows_.template mutable_data<T>() + 2 * job * row_size_;
    return {rows, rows + row_size_};
  }

  const RetrievalShape& s_;
  const BlockRead<T>& in_;
  const BlockReadGradient<T>& grad_;
  T* dbias_;
  ReaderTileMemory<T> memory_;
  int64_t parts_, heads_at_once_, row_size_;  // parts: jobs of a head
  Tensor rows_;                               // QueryGradient of each job
  std::vector<BlockReaders> readers_;
};

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
  const ReaderTileMemory<T> memory(s);
  const int64_t pieces = ceil_div(s.tokens, kQueries);
  parallel_jobs(s.heads() * pieces, [&](int64_t job) {
    const int64_t bh = job / pieces, first = job % pieces * kQueries;
    PieceForward<T>(s, in, memory, o, lse).read(bh, {first, std::min(first + kQueries, s.tokens)});
  });
}

template <class T>
void block_read_backward(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad) {
  std::vector<T> dbias(in.gain ? s.heads() * s.slots * s.tokens : 0);
  PieceGradient<T> gradient(s, in, grad, in.gain ? dbias.data() : nullptr);
  for (int64_t bh = 0; bh < s.heads(); bh += gradient.heads_at_once()) {
    for (int64_t first = 0; first < s.tokens; first += kQueries)
      gradient.add(bh, {first, std::min(first + kQueries, s.tokens)});
  }
  if (in.gain) gain_gradient(s, in, dbias.data(), grad.dgain);
}

template void block_read_forward(const RetrievalShape&, const BlockRead<float>&, float*, float*);
template void block_read_forward(const RetrievalShape&, const BlockRead<double>&, double*, double*);
template void block_read_backward(const RetrievalShape&, const BlockRead<float>&,
                                  const BlockReadGradient<float>&);
template void block_read_backward(const RetrievalShape&, const BlockRead<double>&,
                                  const BlockReadGradient<double>&);

}  // namespace tapestry::cpu
