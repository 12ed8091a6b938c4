#include "autograd/ops/block_read.h"

#include "autograd/math.h"
#include "autograd/ops/block_tiles.cuh"

namespace tapestry::cuda {
namespace {

/// What is added to the scores of a query.
template <class T>
__device__ T bias_of(const BlockTiles& x, const BlockRead<T>& in, const BlockRow& row) {
  return in.scores ? in.gain_of(x.s.head_of(row.bh)) * in.scores[row.slot] : T(0);
}

/// p = the numerators exp(S - max S) of each row; the log of their normaliser goes to `lse`, what brings p to
/// exp(S - lse) to `scale`, both by row of the tiles.
template <class T>
void softmax_rows(const BlockTiles& tiles, const BlockRead<T>& in, T* p, T* lse, T* scale) {
  const BlockTiles x = tiles;
  const BlockRead<T> from = in;
  const int64_t n = x.s.block;
  for_each_row("block_read softmax", x.rows(), n, [=] __device__(int64_t i) {
    const BlockRow row(x, i);
    if (!row.used) return;
    T* score = p + i * n;
    const auto keys = x.s.keys(row.token, row.block);
    const auto seen = [=](int64_t j) { return j >= keys.begin && j < keys.end; };
    const T hidden = -std::numeric_limits<T>::infinity();
    const T largest = block_reduce_row(
        n, hidden, [=](int64_t j) { return seen(j) ? score[j] : hidden; }, Max{});
    const T sum = block_sum<T>(n, [=](int64_t j) {
      const T e = seen(j) ? fast_exp(score[j] - largest) : T(0);
      score[j] = e;
      return e;
    });
    if (threadIdx.x != 0) return;
    const T own =
        x.s.hierarchical ? std::log(static_cast<T>(keys.end - keys.begin)) : largest + std::log(sum);
    lse[i] = own + bias_of(x, from, row);
    scale[i] = 1 / sum;
  });
}

/// Merges what each query found in its blocks into its softmax, given by o and lse: the softmax over disjoint
/// sets of keys from the softmax over each, in the order of its slots.
template <class T>
void merge_queries(const BlockTiles& tiles, const T* tile_o, const T* tile_lse, const T* scale, T* o,
                   T* lse) {
  const BlockTiles x = tiles;
  const int64_t d = x.s.head_width, slots = x.s.slots;
  for_each_row("block_read merge", x.heads * x.queries, slots, [=] __device__(int64_t i) {
    const PieceQuery query(x, i);
    const int32_t* rows = query.rows;
    const T hidden = -std::numeric_limits<T>::infinity(), before = lse[query.scalar];
    const T largest = block_reduce_row(
        slots, before, [=](int64_t j) { return rows[j] < 0 ? hidden : tile_lse[rows[j]]; }, Max{});
    const T sum = block_sum<T>(
        slots, [=](int64_t j) { return rows[j] < 0 ? T(0) : fast_exp(tile_lse[rows[j]] - largest); });
    const T total = largest + std::log(fast_exp(before - largest) + sum), keep = fast_exp(before - total);
    block_for(d, [=](int64_t e) {
      T value = keep * o[query.vector + e];
      for (int64_t j = 0; j < slots && rows[j] >= 0; ++j)
        value += fast_exp(tile_lse[rows[j]] - total) * scale[rows[j]] * tile_o[rows[j] * d + e];
      o[query.vector + e] = value;
    });
    if (threadIdx.x == 0) lse[query.scalar] = total;
  });
}

/// What is added to the scores of a query to give the logs of its probabilities: of hierarchical ones, for
/// which each of its threads has to call this, the mean exponential of the scores is taken out.
template <class T, class Seen>
__device__ T log_probability_shift(const BlockTiles& x, const BlockRead<T>& in, const BlockRow& row,
                                   const T* score, int64_t keys, const Seen& seen) {
  const T bias = bias_of(x, in, row);
  if (!x.s.hierarchical) return bias;
  const T hidden = -std::numeric_limits<T>::infinity();
  const T largest = block_reduce_row(
      x.s.block, hidden, [=](int64_t j) { return seen(j) ? score[j] : hidden; }, Max{});
  const T sum =
      block_sum<T>(x.s.block, [=](int64_t j) { return seen(j) ? fast_exp(score[j] - largest) : T(0); });
  return bias + std::log(static_cast<T>(keys)) - largest - std::log(sum);
}

/// p = the probabilities, dp = the gradients of the scores, zero in unused rows; goes by D and lse of the
/// whole softmax. A row's sum of p (dp - D) is the gradient of its bias.
template <class T>
void score_gradient(const BlockTiles& tiles, const BlockRead<T>& in, const BlockReadGradient<T>& grad, T* p,
                    T* dp, T* dbias) {
  const BlockTiles x = tiles;
  const BlockRead<T> from = in;
  const T *lse = grad.lse, *D = grad.D;
  const int64_t n = x.s.block;
  for_each_row("block_read gradient", x.rows(), n, [=] __device__(int64_t i) {
    const BlockRow row(x, i);
    T *score = p + i * n, *dscore = dp + i * n;
    if (!row.used) {
      block_for(n, [=](int64_t j) { score[j] = dscore[j] = 0; });
      return;
    }
    const auto keys = x.s.keys(row.token, row.block);
    const auto seen = [=](int64_t j) { return j >= keys.begin && j < keys.end; };
    const T shift = log_probability_shift(x, from, row, score, keys.end - keys.begin, seen) - lse[row.scalar];
    const T d = D[row.scalar];
    const T sum = block_sum<T>(n, [=](int64_t j) {
      const T e = seen(j) ? fast_exp(score[j] + shift) : T(0);
      score[j] = e;
      dscore[j] = e * (dscore[j] - d);
      return dscore[j];
    });
    if (x.s.hierarchical) {
      const T weight = block_sum<T>(n, [=](int64_t j) { return score[j]; });
      if (weight > 0) block_for(n, [=](int64_t j) { dscore[j] -= score[j] * (sum / weight); });
    }
    if (dbias && threadIdx.x == 0) dbias[row.slot] = sum;
  });
}

/// x's rows of the queries += those of from [tiles, kTileRows, d], in the order of the slots.
template <class T>
void add_to_queries(const BlockTiles& tiles, const T* from, T* x) {
  const BlockTiles t = tiles;
  const int64_t d = t.s.head_width, slots = t.s.slots;
  for_each_index("block_read query rows", t.heads * t.queries * d, [=] __device__(int64_t i) {
    const PieceQuery query(t, i / d);
    T sum = 0;
    for (int64_t j = 0; j < slots && query.rows[j] >= 0; ++j) sum += from[query.rows[j] * d + i % d];
    x[query.vector + i % d] += sum;
  });
}

/// Numbers that add_to_blocks needs for each row of a tile.
int64_t block_parts_of(const RetrievalShape& s) { return ceil_div(s.block * s.head_width, kTileRows); }

/// The blocks' rows of dx += alpha p^T y: a product for every tile, and those of a block added up in order.
template <class T>
void add_to_blocks(const BlockTiles& tiles, double alpha, const T* p, const T* y, T* dx) {
  const BlockTiles x = tiles;
  const int64_t n = x.s.block, d = x.s.head_width, size = n * d, blocks = x.s.blocks();
  DeviceArray<T> memory(x.count() * size);
  T* parts = memory.data();
  Gemm product{.m = n, .n = d, .k = kTileRows, .transpose_a = true, .alpha = alpha};
  product.batch[0] = {x.count(), kTileRows * n, kTileRows * d, size};
  gemm(product, p, y, parts);
  for_each_index("block_read blocks", x.heads * blocks * size, [=] __device__(int64_t i) {
    const int64_t head = i / size / blocks, block = i / size % blocks, at = i % size;
    const int64_t end = x.first_tile(head, block + 1);
    T sum = 0;
    for (int64_t tile = x.first_tile(head, block); tile < end; ++tile) sum += parts[tile * size + at];
    const int64_t token = block * n + at / d;
    dx[x.s.head_offset(x.first_head + head, x.s.tokens) + token * x.s.width() + at % d] += sum;
  });
}

/// dh += the gradient through bias = gain scale r_t.h_j of the queries: a sum for every tile, and those of a
/// block added up in order.
template <class T>
void add_summary_gradient(const BlockTiles& tiles, const BlockRead<T>& in, const BlockReadGradient<T>& grad,
                          const T* dbias) {
  const BlockTiles x = tiles;
  const BlockRead<T> from = in;
  const T* r = grad.r;
  T* dh = grad.dh;
  const int64_t d = x.s.head_width, blocks = x.s.blocks();
  DeviceArray<T> memory(x.count() * d);
  T* parts = memory.data();
  for_each_index("block_read summary parts", x.count() * d, [=] __device__(int64_t i) {
    const BlockTile tile = x.tiles[i / d];
    T sum = 0;
    for (int32_t at = tile.begin; at < tile.begin + tile.rows; ++at) {
      const int64_t slot = x.slot_of(x.order[at]), token = slot / x.s.slots % x.s.tokens;
      const int64_t bh = x.first_head + i / d / x.per_head;
      sum += dbias[slot] * r[x.s.head_offset(bh, x.s.tokens) + token * x.s.width() + i % d];
    }
    parts[i] = sum;
  });
  for_each_index("block_read summaries", x.heads * blocks * d, [=] __device__(int64_t i) {
    const int64_t head = i / d / blocks, bh = x.first_head + head, block = i / d % blocks;
    const int64_t end = x.first_tile(head, block + 1);
    T sum = 0;
    for (int64_t tile = x.first_tile(head, block); tile < end; ++tile) sum += parts[tile * d + i % d];
    const T factor = static_cast<T>(x.s.scale) * from.gain_of(x.s.head_of(bh));
    dh[x.s.head_offset(bh, blocks) + block * x.s.width() + i % d] += factor * sum;
  });
}

/// dr += the same, over all slots of each query.
template <class T>
void add_query_gradient(const RetrievalShape& shape, const BlockRead<T>& in, const BlockReadGradient<T>& grad,
                        const T* dbias) {
  const RetrievalShape s = shape;
  const BlockRead<T> from = in;
  const T* h = grad.h;
  T* dr = grad.dr;
  const int64_t d = s.head_width;
  for_each_index("block_read queries", s.heads() * s.tokens * d, [=] __device__(int64_t i) {
    const int64_t bh = i / d / s.tokens, t = i / d % s.tokens;
    T sum = 0;
    for (int64_t slot = 0; slot < s.slots; ++slot) {
      const int64_t at = s.slot_offset(bh, t, slot);
      const int32_t block = from.blocks[at];
      if (block >= 0) sum += dbias[at] * h[s.head_offset(bh, s.blocks()) + block * s.width() + i % d];
    }
    const T factor = static_cast<T>(s.scale) * from.gain_of(s.head_of(bh));
    dr[s.head_offset(bh, s.tokens) + t * s.width() + i % d] += factor * sum;
  });
}

/// dgain = the sum of score times dbias by head, 0 where a head does not retrieve.
template <class T>
void gain_gradient(const RetrievalShape& shape, const BlockRead<T>& in, T* dgain, const T* dbias) {
  const RetrievalShape s = shape;
  const BlockRead<T> from = in;
  const int64_t in_head = s.slots * s.tokens;
  for_each_block("block_read gain", s.n_head, kMaxThreads, 0, [=] __device__(int64_t head) {
    const int64_t among = head - (s.n_head - s.retrieving);  // the retrieving ones
    const double sum = block_sum<double>(among < 0 ? 0 : s.batch * in_head, [=](int64_t i) {
      const int64_t at = (i / in_head * s.retrieving + among) * in_head + i % in_head;
      return from.blocks[at] >= 0 ? double(dbias[at]) * double(from.scores[at]) : 0.0;
    });
    if (threadIdx.x == 0) dgain[head] = static_cast<T>(sum);
  });
}

}  // namespace

template <class T>
void block_read_forward(const RetrievalShape& s, const BlockRead<T>& in, T* o, T* lse) {
  const int64_t d = s.head_width;
  for_block_tiles(s, in.blocks, 2 * d + s.block + 2, [&](const BlockTiles& tiles) {
    DeviceArray<T> queries(tiles.rows() * d), p(tiles.rows() * s.block), values(tiles.rows() * d),
        tile_lse(tiles.rows()), scale(tiles.rows());
    gather_rows(tiles, in.q, queries.data());
    times_blocks<T>(tiles, true, s.scale, queries.data(), in.k, p.data());
    softmax_rows(tiles, in, p.data(), tile_lse.data(), scale.data());
    times_blocks<T>(tiles, false, 1, p.data(), in.v, values.data());
    merge_queries<T>(tiles, values.data(), tile_lse.data(), scale.data(), o, lse);
  });
}

template <class T>
void block_read_backward(const RetrievalShape& s, const BlockRead<T>& in, const BlockReadGradient<T>& grad) {
  const int64_t d = s.head_width;
  DeviceArray<T> dbias_array(in.scores ? s.heads() * s.slots * s.tokens : 0);
  T* dbias = in.scores ? dbias_array.data() : nullptr;
  for_block_tiles(s, in.blocks, 3 * d + 2 * s.block + block_parts_of(s), [&](const BlockTiles& tiles) {
    DeviceArray<T> queries(tiles.rows() * d), dout(tiles.rows() * d), p(tiles.rows() * s.block),
        dp(tiles.rows() * s.block), dq(tiles.rows() * d);
    gather_rows(tiles, in.q, queries.data());
    gather_rows(tiles, grad.dout, dout.data());
    times_blocks<T>(tiles, true, s.scale, queries.data(), in.k, p.data());
    times_blocks<T>(tiles, true, 1, dout.data(), in.v, dp.data());
    score_gradient(tiles, in, grad, p.data(), dp.data(), dbias);
    add_to_blocks<T>(tiles, 1, p.data(), dout.data(), grad.dv);
    add_to_blocks<T>(tiles, s.scale, dp.data(), queries.data(), grad.dk);
    times_blocks<T>(tiles, false, s.scale, dp.data(), in.k, dq.data());
    add_to_queries<T>(tiles, dq.data(), grad.dq);
    if (dbias) add_summary_gradient(tiles, in, grad, dbias);
  });
  if (!dbias) return;
  add_query_gradient(s, in, grad, dbias);
  if (in.gain) gain_gradient(s, in, grad.dgain, dbias);
}

#define INSTANTIATE(T)                                                                  \
  template void block_read_forward(const RetrievalShape&, const BlockRead<T>&, T*, T*); \
  template void block_read_backward(const RetrievalShape&, const BlockRead<T>&, const BlockReadGradient<T>&);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
