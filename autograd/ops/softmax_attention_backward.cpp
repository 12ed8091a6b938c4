#include <vector>

#include "autograd/ops/softmax_attention_tile.h"

namespace tapestry::cpu {
namespace {

// Of a backward pass: how many jobs are wanted, the most pieces of a head, the least tiles of a piece.
constexpr int64_t kJobs = 16;
constexpr int64_t kMaxPieces = 8;
constexpr int64_t kMinPieceTiles = 2;

constexpr int64_t kMaxKeyTile = 256;
/// Keys a tile: many where all of the past is visible, few where more of a tile would be hidden than seen.
int64_t key_tile(const Visible& visible) {
  const int64_t span = visible.reach + std::min(visible.chunk, kMaxKeyTile);
  return span <= 64 ? 64 : span <= kMaxKeyTile ? 128 : kMaxKeyTile;
}

/// to (+)= from, n numbers.
template <class T>
void put(const T* from, T* to, int64_t n, bool accumulate) {
  if (accumulate) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  } else {
    std::copy(from, from + n, to);
  }
}

template <class T>
void copy_rows(const T* from, int64_t ld_from, T* to, int64_t ld_to, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i) std::copy_n(from + i * ld_from, n, to + i * ld_to);
}

/// A piece of a head's keys, and the queries that see any of it. dq of those queries, summed over the piece,
/// lies at `row` of the partial sums.
struct KeyPiece {
  Range keys, queries;
  int64_t row = 0;
};

/// Splits the keys so that few heads still keep many threads busy. Depends on the sizes only, not on the
/// number of threads, and so do the sums.
std::vector<KeyPiece> pieces_of(const AttentionShape& s) {
  const int64_t wanted = std::min(ceil_div(kJobs, s.batch * s.n_head), kMaxPieces);
  const int64_t tiles = ceil_div(s.tokens, kMaxKeyTile);
  const int64_t keys = std::max(ceil_div(tiles, wanted), kMinPieceTiles) * kMaxKeyTile;
  std::vector<KeyPiece> pieces;
  int64_t row = 0;
  for (int64_t begin = 0; begin < s.tokens; begin += keys) {
    const Range piece{begin, std::min(begin + keys, s.tokens)};
    const int64_t last = begin < s.visible.sink ? begin : piece.end - 1;
    const Range queries{begin, std::min(s.visible.end(last), s.tokens)};
    pieces.push_back({piece, queries, row});
    row += queries.size();
  }
  return pieces;
}

/// One head of a backward pass: its first rows, those of the operands `ld` apart.
template <class In, class T>
struct HeadGradient {
  const In *q, *k, *v, *dout;
  int64_t ld;
  const T *lse, *D;
  T *dk, *dv;
};

/// scores -> P = exp(scores - lse), and dp = do v^T -> scale P (dp - D), both [queries, keys].
template <class In, class T>
void softmax_gradient(const AttentionShape& s, const HeadGradient<In, T>& head, Range queries, int64_t n,
                      T* scores, T* dp) {
  const T scale = static_cast<T>(s.scale);
  for (int64_t t = queries.begin; t < queries.end; ++t, scores += n, dp += n) {
    const T lse = head.lse[t], D = head.D[t];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      scores[i] = exp_nonpositive(scores[i] - lse);
      dp[i] = scale * scores[i] * (dp[i] - D);
    }
  }
}

/// A thread's buffers.
template <class In, class T>
struct BackwardScratch {
  static int64_t size(int64_t d) { return kMaxKeyTile * (4 * kQueryTile + 4 * d); }
  BackwardScratch(T* memory, int64_t d)
      : scores(memory),
        dp(scores + kQueryTile * kMaxKeyTile),
        dk(dp + kQueryTile * kMaxKeyTile),
        dv(dk + kMaxKeyTile * d),
        k(reinterpret_cast<In*>(dv + kMaxKeyTile * d)),
        v(k + kMaxKeyTile * d),
        p(v + kMaxKeyTile * d),
        ds(p + kQueryTile * kMaxKeyTile) {}
  T *scores, *dp, *dk, *dv;
  In *k, *v, *p, *ds;
};

/// dk, dv of `keys`, and their part of dq, whose first row is that of query `first`.
template <class In, class T>
void backward_tile(const AttentionShape& s, const HeadGradient<In, T>& head, Range keys, T* dq, int64_t first,
                   const BackwardScratch<In, T>& x) {
  const int64_t d = s.head_width, ld = head.ld;
  copy_rows(head.k + keys.begin * ld, ld, x.k, d, keys.size(), d);
  copy_rows(head.v + keys.begin * ld, ld, x.v, d, keys.size(), d);
  std::fill(x.dk, x.dk + 2 * kMaxKeyTile * d, T(0));
  const int64_t end = std::min(s.visible.end(keys.end - 1), s.tokens);
  for (int64_t t = keys.begin; t < end; t += kQueryTile) {
    const Range queries{t, std::min(t + kQueryTile, end)};
    const Range seen{keys.begin, std::min(keys.end, queries.end)};
    const int64_t m = queries.size(), n = seen.size();
    const In *q = head.q + t * ld, *dout = head.dout + t * ld;
    score_tile(s, q, ld, x.k, d, queries, seen, x.scores);
    gemm<In>({.m = m, .n = n, .k = d, .transpose_b = true, .lda = ld}, dout, x.v, x.dp);
    softmax_gradient(s, head, queries, n, x.scores, x.dp);
    const In *p = operand(x.scores, m * n, x.p), *ds = operand(x.dp, m * n, x.ds);
    gemm<In>({.m = n, .n = d, .k = m, .transpose_a = true, .beta = 1, .ldb = ld}, p, dout, x.dv);
    gemm<In>({.m = n, .n = d, .k = m, .transpose_a = true, .beta = 1, .ldb = ld}, ds, q, x.dk);
    gemm<In>({.m = m, .n = d, .k = n, .beta = 1}, ds, x.k, dq + (t - first) * d);
  }
  for (int64_t i = 0; i < keys.size(); ++i) {
    std::copy_n(x.dk + i * d, d, head.dk + (keys.begin + i) * s.width());
    std::copy_n(x.dv + i * d, d, head.dv + (keys.begin + i) * s.width());
  }
}

template <class In, class T>
void backward_piece(const AttentionShape& s, const HeadGradient<In, T>& head, const KeyPiece& piece, T* dq,
                    const BackwardScratch<In, T>& scratch) {
  std::fill(dq, dq + piece.queries.size() * s.head_width, T(0));
  const int64_t tile = key_tile(s.visible);
  int64_t begin = piece.keys.begin;
  while (begin < piece.keys.end) {
    // Tiles end at the last sink, whose queries are all later ones.
    int64_t end = std::min((begin / tile + 1) * tile, piece.keys.end);
    if (begin < s.visible.sink) end = std::min(end, s.visible.sink);
    backward_tile(s, head, {begin, end}, dq, piece.queries.begin, scratch);
    begin = end;
  }
}

/// dq of a query = the sum of its parts, in the order of the keys.
template <class T>
void sum_pieces(const AttentionShape& s, const std::vector<KeyPiece>& pieces, const T* partial, int64_t t,
                T* dq) {
  bool accumulate = false;
  for (const KeyPiece& piece : pieces) {
    if (t < piece.queries.begin || t >= piece.queries.end) continue;
    put(partial + (piece.row + t - piece.queries.begin) * s.head_width, dq, s.head_width, accumulate);
    accumulate = true;
  }
}

template <class In, class T>
void backward_pieces(const AttentionShape& s, const T* q, const T* k, const T* v, const T* lse, const T* D,
                     const T* dout, T* dq, T* dk, T* dv) {
  const std::vector<KeyPiece> pieces = pieces_of(s);
  if (pieces.empty()) return;
  const int64_t heads = s.batch * s.n_head, count = static_cast<int64_t>(pieces.size()), d = s.head_width;
  const int64_t rows = pieces.back().row + pieces.back().queries.size();
  const Operand<In, T> q_in(s, q), k_in(s, k), v_in(s, v), dout_in(s, dout);
  const Scratch<T> scratch(BackwardScratch<In, T>::size(d));
  Tensor partial_sums = Tensor::empty({heads, rows, d}, dtype_of<T>());
  T* partial = partial_sums.mutable_data<T>();
  parallel_jobs(heads * count, [&](int64_t job) {
    const int64_t i = job / count;
    const Head at(s, i);
    const KeyPiece& piece = pieces[job % count];
    const HeadGradient<In, T> head{q_in.head(i),     k_in.head(i),   v_in.head(i), dout_in.head(i), q_in.ld(),
                                   lse + at.scalars, D + at.scalars, dk + at.rows, dv + at.rows};
    backward_piece(s, head, piece, partial + (i * rows + piece.row) * d,
                   BackwardScratch<In, T>(scratch.mine(), d));
  });
  parallel_for(heads * s.tokens, 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = i / s.tokens, t = i % s.tokens;
      sum_pieces(s, pieces, partial + head * rows * d, t, dq + Head(s, head).rows + t * s.width());
    }
  });
}

}  // namespace

template <class T>
void softmax_attention_backward(const AttentionShape& s, const T* q, const T* k, const T* v, const T* lse,
                                const T* D, const T* dout, T* dq, T* dk, T* dv) {
  for_operand_type<T>([&]<class In>(In) { backward_pieces<In>(s, q, k, v, lse, D, dout, dq, dk, dv); });
}

template void softmax_attention_backward(const AttentionShape&, const float*, const float*, const float*,
                                         const float*, const float*, const float*, float*, float*, float*);
template void softmax_attention_backward(const AttentionShape&, const double*, const double*, const double*,
                                         const double*, const double*, const double*, double*, double*,
                                         double*);

}  // namespace tapestry::cpu
