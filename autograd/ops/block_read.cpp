#include "autograd/ops/block_read.h"

#include <cmath>

#include "autograd/gemm.h"
#include "autograd/math.h"

namespace tapestry::cpu {
namespace {

/// Height of the tiles of queries; measured best for chunks of 128 keys, where a bucket has about as many
/// queries.
constexpr int64_t kRows = 32;

/// Up to kRows queries of one (batch, head) that read one chunk through one slot.
template <class T>
struct Tile {
  const RetrievalShape& s;
  const BlockRead<T>& in;
  int64_t bh, slot, j;
  const int32_t* tokens;
  int64_t rows;

  int64_t height() const { return s.tile_rows(kRows); }
  int64_t row_of(int64_t i) const { return s.head_offset(bh, s.tokens) + tokens[i] * s.width(); }
  int64_t chunk_offset() const { return s.head_offset(bh, s.tokens) + j * s.chunk * s.width(); }
  int64_t slot_of(int64_t i) const { return (bh * s.slots + slot) * s.tokens + tokens[i]; }
  int64_t token_of(int64_t i) const { return s.token_offset(bh) + tokens[i]; }
  /// What is added to the scores of query i.
  T bias(int64_t i) const { return in.scores ? in.gain_of(s.head_of(bh)) * in.scores[slot_of(i)] : T(0); }

  /// to [kRows, d] = the tile's rows of x, zeros below.
  void gather(const T* x, std::vector<T>& to) const {
    for (int64_t i = 0; i < rows; ++i) std::copy_n(x + row_of(i), s.head_width, &to[i * s.head_width]);
    std::fill(to.begin() + rows * s.head_width, to.end(), T(0));
  }
  /// x's rows += from [kRows, d].
  void scatter_add(const std::vector<T>& from, T* x) const {
    for (int64_t i = 0; i < rows; ++i) {
      T* to = x + row_of(i);
      const T* row = &from[i * s.head_width];
#pragma omp simd
      for (int64_t e = 0; e < s.head_width; ++e) to[e] += row[e];
    }
  }
  /// y [kRows, chunk] = alpha x (the chunk's rows of keys)^T
  void times_keys(double alpha, const std::vector<T>& x, const T* keys, std::vector<T>& y) const {
    gemm<T>({.m = height(),
             .n = s.chunk,
             .k = s.head_width,
             .transpose_b = true,
             .alpha = alpha,
             .ldb = s.width()},
            x.data(), keys + chunk_offset(), y.data());
  }
  /// y [kRows, d] = alpha p (the chunk's rows of values)
  void times_values(double alpha, const std::vector<T>& p, const T* values, std::vector<T>& y) const {
    gemm<T>({.m = height(), .n = s.head_width, .k = s.chunk, .alpha = alpha, .ldb = s.width()}, p.data(),
            values + chunk_offset(), y.data());
  }
  /// The chunk's rows of dx += alpha p^T y.
  void add_to_chunk(double alpha, const std::vector<T>& p, const std::vector<T>& y, T* dx) const {
    gemm<T>({.m = s.chunk,
             .n = s.head_width,
             .k = height(),
             .transpose_a = true,
             .alpha = alpha,
             .beta = 1,
             .ldc = s.width()},
            p.data(), y.data(), dx + chunk_offset());
  }
};

/// Calls `work(tile)` for all tiles, slot after slot, a chunk's tiles one after the other in one job. A slot
/// sends a token to one chunk only, so jobs do not meet in a query either.
template <class T, class Scratch, class Work>
void for_each_tile(const RetrievalShape& s, const BlockRead<T>& in, const Work& work) {
  std::vector<Scratch> scratch(omp_get_max_threads(), Scratch(s));
  for (int64_t slot = 0; slot < s.slots; ++slot) {
    const Buckets buckets(s, in.chunks, slot);
    parallel_jobs(s.heads() * s.chunks(), [&](int64_t job) {
      const int64_t bh = job % s.heads(), j = job / s.heads(), size = buckets.size(bh, j);
      if (size == 0) return;
      for (int64_t first = 0; first < size; first += kRows) {
        const int64_t rows = std::min(kRows, size - first);
        work(Tile<T>{s, in, bh, slot, j, buckets.tokens(bh, j) + first, rows}, scratch[omp_get_thread_num()]);
      }
    });
  }
}

/// y += alpha x
template <class T>
void axpy(T alpha, const T* x, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

/// row[i] = exp(row[i] - shift) for the keys in `keys`, 0 for the others; returns the sum.
template <class T>
T masked_exp(T* row, RetrievalShape::Range keys, int64_t n, T shift) {
  std::fill(row, row + keys.begin, T(0));
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = keys.begin; i < keys.end; ++i) {
    row[i] = fast_exp(row[i] - shift);
    sum += row[i];
  }
  std::fill(row + keys.end, row + n, T(0));
  return sum;
}

template <class T>
struct ForwardScratch {
  explicit ForwardScratch(const RetrievalShape& s)
      : q(kRows * s.head_width), p(kRows * s.chunk), o(kRows * s.head_width), lse(kRows), scale(kRows) {}
  std::vector<T> q, p, o;
  std::vector<T> lse, scale;
};

/// p = the numerators exp(S - max S) of the tile's rows; the log of their normaliser goes to `lse`, what
/// brings p to exp(S - lse) to `scale`.
template <class T>
void softmax_rows(const Tile<T>& tile, ForwardScratch<T>& x) {
  const int64_t n = tile.s.chunk;
  for (int64_t i = 0; i < tile.rows; ++i) {
    T* row = &x.p[i * n];
    const auto keys = tile.s.keys(tile.tokens[i], tile.j);
    T largest = row[keys.begin];
#pragma omp simd reduction(max : largest)
    for (int64_t e = keys.begin; e < keys.end; ++e) largest = row[e] > largest ? row[e] : largest;
    const T sum = masked_exp(row, keys, n, largest);
    x.lse[i] = largest + std::log(sum) + tile.bias(i);
    x.scale[i] = 1 / sum;
  }
}

/// The softmax over two disjoint sets of keys from the softmax over each.
template <class T>
void merge_rows(const Tile<T>& tile, const ForwardScratch<T>& x, T* o, T* lse) {
  const int64_t d = tile.s.head_width;
  for (int64_t i = 0; i < tile.rows; ++i) {
    T& total = lse[tile.token_of(i)];
    const T before = total, largest = std::max(before, x.lse[i]);
    total = largest + std::log(fast_exp(before - largest) + fast_exp(x.lse[i] - largest));
    const T keep = fast_exp(before - total), add = fast_exp(x.lse[i] - total) * x.scale[i];
    T* to = o + tile.row_of(i);
    const T* from = &x.o[i * d];
#pragma omp simd
    for (int64_t e = 0; e < d; ++e) to[e] = keep * to[e] + add * from[e];
  }
}

template <class T>
struct BlockBackwardScratch {
  explicit BlockBackwardScratch(const RetrievalShape& s)
      : q(kRows * s.head_width),
        dout(kRows * s.head_width),
        p(kRows * s.chunk),
        dp(kRows * s.chunk),
        dq(kRows * s.head_width) {}
  std::vector<T> q, dout, p, dp, dq;
};

/// p = exp(S - lse), dp = p (dp - D): the probabilities and the gradient of the scores, zero in unused rows.
/// A row's sum is the gradient of its bias.
template <class T>
void score_gradient(const Tile<T>& tile, const BlockReadGradient<T>& grad, BlockBackwardScratch<T>& x,
                    std::vector<T>& dbias) {
  const int64_t n = tile.s.chunk;
  for (int64_t i = 0; i < tile.rows; ++i) {
    T *p = &x.p[i * n], *dp = &x.dp[i * n];
    masked_exp(p, tile.s.keys(tile.tokens[i], tile.j), n, grad.lse[tile.token_of(i)] - tile.bias(i));
    const T D = grad.D[tile.token_of(i)];
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t e = 0; e < n; ++e) {
      dp[e] = p[e] * (dp[e] - D);
      sum += dp[e];
    }
    if (!dbias.empty()) dbias[tile.slot_of(i)] = sum;
  }
  std::fill(x.p.begin() + tile.rows * n, x.p.end(), T(0));
  std::fill(x.dp.begin() + tile.rows * n, x.dp.end(), T(0));
}

/// The gradient through bias = gain scale r_t.h_j of one (batch, head), of whose bias it is `dbias`; returns
/// the gain's.
template <class T>
double bias_gradient(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad,
                     const T* dbias, int64_t bh) {
  const T scale = static_cast<T>(s.scale) * in.gain_of(s.head_of(bh));
  const int64_t rows = s.head_offset(bh, s.tokens), summaries = s.head_offset(bh, s.chunks());
  double dgain = 0;
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t slot = 0; slot < s.slots; ++slot) {
      const int64_t at = (bh * s.slots + slot) * s.tokens + t;
      if (in.chunks[at] < 0) continue;
      const int64_t row = rows + t * s.width(), summary = summaries + in.chunks[at] * s.width();
      dgain += static_cast<double>(dbias[at]) * in.scores[at];
      axpy(scale * dbias[at], grad.h + summary, grad.dr + row, s.head_width);
      axpy(scale * dbias[at], grad.r + row, grad.dh + summary, s.head_width);
    }
  }
  return dgain;
}

/// Adds to dr and dh, assigns dgain.
template <class T>
void bias_gradients(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad,
                    const T* dbias) {
  std::vector<double> dgain(s.heads());
  parallel_jobs(s.heads(), [&](int64_t bh) { dgain[bh] = bias_gradient(s, in, grad, dbias, bh); });
  if (in.gain == nullptr) return;
  std::fill_n(grad.dgain, s.n_head, T(0));
  for (int64_t head = 0; head < s.retrieving; ++head) {
    double sum = 0;
    for (int64_t b = 0; b < s.batch; ++b) sum += dgain[b * s.retrieving + head];
    grad.dgain[s.head_of(head)] = static_cast<T>(sum);
  }
}

}  // namespace

template <class T>
void block_read_forward(const RetrievalShape& s, const BlockRead<T>& in, T* o, T* lse) {
  for_each_tile<T, ForwardScratch<T>>(s, in, [&](const Tile<T>& tile, ForwardScratch<T>& x) {
    tile.gather(in.q, x.q);
    tile.times_keys(s.scale, x.q, in.k, x.p);
    softmax_rows(tile, x);
    tile.times_values(1, x.p, in.v, x.o);
    merge_rows(tile, x, o, lse);
  });
}

template <class T>
void block_read_backward(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad) {
  std::vector<T> dbias(in.scores ? s.heads() * s.slots * s.tokens : 0);
  for_each_tile<T, BlockBackwardScratch<T>>(s, in, [&](const Tile<T>& tile, BlockBackwardScratch<T>& x) {
    tile.gather(in.q, x.q);
    tile.gather(grad.dout, x.dout);
    tile.times_keys(s.scale, x.q, in.k, x.p);
    tile.times_keys(1, x.dout, in.v, x.dp);
    score_gradient(tile, grad, x, dbias);
    tile.add_to_chunk(1, x.p, x.dout, grad.dv);
    tile.add_to_chunk(s.scale, x.dp, x.q, grad.dk);
    tile.times_values(s.scale, x.dp, in.k, x.dq);
    tile.scatter_add(x.dq, grad.dq);
  });
  if (in.scores) bias_gradients(s, in, grad, dbias.data());
}

template void block_read_forward(const RetrievalShape&, const BlockRead<float>&, float*, float*);
template void block_read_forward(const RetrievalShape&, const BlockRead<double>&, double*, double*);
template void block_read_backward(const RetrievalShape&, const BlockRead<float>&,
                                  const BlockReadGradient<float>&);
template void block_read_backward(const RetrievalShape&, const BlockRead<double>&,
                                  const BlockReadGradient<double>&);

}  // namespace tapestry::cpu
