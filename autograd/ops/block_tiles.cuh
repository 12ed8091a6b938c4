#pragma once

#include "autograd/cuda/gemm_at.h"
#include "autograd/cuda/kernel.cuh"
#include "autograd/cuda/sort.h"
#include "autograd/memory.h"
#include "autograd/ops/block_read.h"

/// What a piece of queries retrieves, (query, slot) by (query, slot), sorted by block and cut into tiles of a
/// fixed height, so that all products with the blocks' keys and values are one batch. How many tiles there
/// are is known on the device only; those that the sizes allow for at most are computed, the idle ones with
/// zeros.
namespace tapestry::cuda {

constexpr int64_t kTileRows = 64;

struct BlockTile {
  int32_t block, begin, rows;  // its pairs are order[begin] .. order[begin + rows - 1]
};

/// The tiles of queries [first_query, first_query + queries) of heads [first_head, first_head + heads);
/// pointers lie on the device.
struct BlockTiles {
  RetrievalShape s;
  int64_t first_head, heads, first_query, queries;
  int64_t per_head;        // tiles of a head, idle ones included
  const int32_t* order;    // (head, query, slot), counted from the first ones, by block
  const int32_t* start;    // of the pairs of (head, block) in order [heads, blocks + 1]; last those of none
  const BlockTile* tiles;  // [heads, per_head]
  const int32_t* row_of;   // [heads, queries, slots] where in the tiles each pair is, -1: an unused slot

  /// Where the tiles of a block begin; they end where those of the next do.
  __device__ int64_t first_tile(int64_t head, int64_t block) const {
    const int32_t* of_head = start + head * (s.blocks() + 1);
    return head * per_head + (of_head[block] - of_head[0]) / kTileRows + block;
  }
  /// The place of a pair of the piece in [B, retrieving, T, slots].
  __device__ int64_t slot_of(int64_t pair) const {
    const int64_t query = pair / s.slots, head = query / queries;
    return s.slot_offset(first_head + head, first_query + query % queries, pair % s.slots);
  }
  int64_t pairs() const { return heads * queries * s.slots; }
  int64_t count() const { return heads * per_head; }
  int64_t rows() const { return count() * kTileRows; }
};

/// A row of a tile: whether a pair is there, and where its numbers lie.
struct BlockRow {
  bool used;
  int64_t bh, token, block;
  int64_t vector, scalar, slot;  // offsets in [B, T, C], [B, n_head, T] and [B, retrieving, T, slots]
  __device__ BlockRow(const BlockTiles& x, int64_t row) {
    const int64_t tile = row / kTileRows, in_tile = row % kTileRows;
    const BlockTile at = x.tiles[tile];
    used = in_tile < at.rows;
    bh = x.first_head + tile / x.per_head;
    block = at.block;
    slot = used ? x.slot_of(x.order[at.begin + in_tile]) : 0;
    token = slot / x.s.slots % x.s.tokens;
    vector = x.s.head_offset(bh, x.s.tokens) + token * x.s.width();
    scalar = x.s.token_offset(bh) + token;
  }
};

/// A query of the piece, counted over its heads: where its numbers lie, and the rows of the tiles where its
/// slots are, up to the first that is below 0.
struct PieceQuery {
  int64_t vector, scalar;  // as of BlockRow
  const int32_t* rows;
  __device__ PieceQuery(const BlockTiles& x, int64_t query) {
    const int64_t bh = x.first_head + query / x.queries, token = x.first_query + query % x.queries;
    vector = x.s.head_offset(bh, x.s.tokens) + token * x.s.width();
    scalar = x.s.token_offset(bh) + token;
    rows = x.row_of + query * x.s.slots;
  }
};

/// The pairs by block: those of unused slots come last.
inline void sort_pairs(const BlockTiles& tiles, const int32_t* blocks, int32_t* order, int32_t* start) {
  const BlockTiles x = tiles;
  const int64_t keys_a_head = x.s.blocks() + 1;
  DeviceArray<int32_t> keys_array(x.pairs());
  int32_t* keys = keys_array.data();
  for_each_index("block_read keys", x.pairs(), [=] __device__(int64_t i) {
    const int64_t head = i / x.s.slots / x.queries, block = blocks[x.slot_of(i)];
    keys[i] = static_cast<int32_t>(head * keys_a_head + (block < 0 ? x.s.blocks() : block));
  });
  sort_places(keys, x.pairs(), x.heads * keys_a_head, order, start);
}

/// Cuts the pairs of each block into tiles. A block has one place more than the whole tiles before it leave,
/// so that each knows its places by itself; those that it does not need are idle.
inline void cut_tiles(const BlockTiles& tiles, BlockTile* to) {
  const BlockTiles x = tiles;
  const int64_t blocks = x.s.blocks();
  for_each_index("block_read tiles", x.heads * blocks, [=] __device__(int64_t i) {
    const int64_t head = i / blocks, block = i % blocks;
    const int32_t* start = x.start + head * (blocks + 1) + block;
    int32_t begin = start[0];
    const int64_t end = block + 1 < blocks ? x.first_tile(head, block + 1) : (head + 1) * x.per_head;
    for (int64_t tile = x.first_tile(head, block); tile < end; ++tile, begin += kTileRows) {
      const int64_t rows = start[1] - begin < kTileRows ? start[1] - begin : kTileRows;
      to[tile] = {static_cast<int32_t>(block), begin, static_cast<int32_t>(rows > 0 ? rows : 0)};
    }
  });
}

/// row_of of each pair.
inline void find_rows(const BlockTiles& tiles, int32_t* row_of) {
  const BlockTiles x = tiles;
  fill(row_of, -1, x.pairs());
  for_each_index("block_read rows", x.rows(), [=] __device__(int64_t i) {
    const BlockTile at = x.tiles[i / kTileRows];
    const int64_t in_tile = i % kTileRows;
    if (in_tile < at.rows) row_of[x.order[at.begin + in_tile]] = static_cast<int32_t>(i);
  });
}

/// to [tiles, kTileRows, d] = the queries' rows of x, zeros in unused rows.
template <class T>
void gather_rows(const BlockTiles& tiles, const T* x, T* to) {
  const BlockTiles t = tiles;
  const int64_t d = t.s.head_width;
  for_each_index("block_read gather", t.rows() * d, [=] __device__(int64_t i) {
    const BlockRow row(t, i / d);
    to[i] = row.used ? x[row.vector + i % d] : T(0);
  });
}

/// y = alpha x op(the block's rows of `of`) for every tile: op transposes where x has d columns, and y block.
template <class T>
void times_blocks(const BlockTiles& tiles, bool transpose, double alpha, const T* x, const T* of, T* y) {
  const BlockTiles t = tiles;
  const int64_t d = t.s.head_width, in = transpose ? d : t.s.block, out = transpose ? t.s.block : d;
  DeviceArray<const T*> a_array(t.count()), b_array(t.count());
  DeviceArray<T*> c_array(t.count());
  const T **a = a_array.data(), **b = b_array.data();
  T** c = c_array.data();
  for_each_index("block_read pointers", t.count(), [=] __device__(int64_t i) {
    const int64_t bh = t.first_head + i / t.per_head;
    a[i] = x + i * kTileRows * in;
    b[i] = of + t.s.head_offset(bh, t.s.tokens) + t.tiles[i].block * t.s.block * t.s.width();
    c[i] = y + i * kTileRows * out;
  });
  Gemm product{
      .m = kTileRows, .n = out, .k = in, .transpose_b = transpose, .alpha = alpha, .ldb = t.s.width()};
  if (d * static_cast<int64_t>(sizeof(T)) % kPointerAlignment != 0) product.precision = Precision::float32;
  gemm_at<T>(product, t.count(), a, b, c);
}

/// How many queries and heads are taken together, so that their tiles need at most about `most` numbers,
/// where a row of a tile needs `row_size`. Few queries leave the tiles of a block half empty, so heads come
/// second.
struct BlockTilePiece {
  int64_t queries, heads;
  BlockTilePiece(const RetrievalShape& s, int64_t row_size, int64_t most) {
    constexpr int64_t least = 1024;
    const int64_t rows = most / row_size, idle = kTileRows * s.blocks();
    queries = std::min(s.tokens, std::max(least, (rows - idle) / s.slots));
    heads = std::clamp<int64_t>(rows / (queries * s.slots + idle), 1, s.heads());
  }
};

/// Calls `work(tiles)` for pieces of queries and of heads.
template <class Work>
void for_block_tiles(const RetrievalShape& s, const int32_t* blocks, int64_t row_size, const Work& work,
                     int64_t most = int64_t{256} << 20) {
  if (s.blocks() == 0) return;
  const BlockTilePiece piece(s, row_size, most);
  const int64_t most_pairs = piece.heads * piece.queries * s.slots;
  const int64_t most_tiles = piece.heads * (ceil_div(piece.queries * s.slots, kTileRows) + s.blocks());
  DeviceArray<int32_t> order(most_pairs), start(piece.heads * (s.blocks() + 1) + 1), row_of(most_pairs);
  DeviceArray<BlockTile> table(most_tiles);
  for (int64_t head = 0; head < s.heads(); head += piece.heads) {
    for (int64_t query = 0; query < s.tokens; query += piece.queries) {
      const int64_t heads = std::min(piece.heads, s.heads() - head),
                    queries = std::min(piece.queries, s.tokens - query);
      const BlockTiles tiles{s,
                             head,
                             heads,
                             query,
                             queries,
                             ceil_div(queries * s.slots, kTileRows) + s.blocks(),
                             order.data(),
                             start.data(),
                             table.data(),
                             row_of.data()};
      sort_pairs(tiles, blocks, order.data(), start.data());
      cut_tiles(tiles, table.data());
      find_rows(tiles, row_of.data());
      work(tiles);
    }
  }
}

}  // namespace tapestry::cuda
