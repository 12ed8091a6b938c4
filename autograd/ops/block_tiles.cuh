#pragma once

#include "autograd/cuda/gemm_at.h"
#include "autograd/cuda/kernel.cuh"
#include "autograd/cuda/sort.h"
#include "autograd/ops/block_read.h"

/// The queries that one slot sends to each block, sorted by block and cut into tiles of a fixed height, so
/// that all products with the blocks' keys and values are one batch. How many tiles there are is known on the
/// device only; those that the sizes allow for at most are computed, the idle ones with zeros.
namespace tapestry::cuda {

constexpr int64_t kTileRows = 64;

struct BlockTile {
  int32_t block, begin, rows;  // its queries are order[begin] .. order[begin + rows - 1]
};

/// The tiles of heads [first_head, first_head + heads) of one slot; pointers lie on the device.
struct BlockTiles {
  RetrievalShape s;
  int64_t slot, first_head, heads;
  int64_t per_head;        // tiles of a head, idle ones included
  const int32_t* order;    // (head, token) as head * tokens + token, by block
  const int32_t* start;    // of the queries of (head, block) in order [heads, blocks + 2]
  const BlockTile* tiles;  // [heads, per_head]

  /// Where the tiles of a block begin; they end where those of the next do.
  __device__ int64_t first_tile(int64_t head, int64_t block) const {
    const int32_t* of_head = start + (first_head + head) * (s.blocks() + 1);
    return head * per_head + (of_head[block] - of_head[0]) / kTileRows + block;
  }
  int64_t count() const { return heads * per_head; }
  int64_t rows() const { return count() * kTileRows; }
};

/// A row of a tile: whether a query is there, and where its numbers lie.
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
    token = used ? x.order[at.begin + in_tile] % x.s.tokens : 0;
    vector = x.s.head_offset(bh, x.s.tokens) + token * x.s.width();
    scalar = x.s.token_offset(bh) + token;
    slot = x.s.slot_offset(bh, token, x.slot);
  }
};

/// order and start of one slot, from its blocks: what no block gets comes last.
inline void sort_queries(const RetrievalShape& shape, const int32_t* blocks, int64_t slot, int32_t* order,
                         int32_t* start) {
  const RetrievalShape s = shape;
  const int64_t count = s.heads() * s.tokens, keys_a_head = s.blocks() + 1;
  DeviceArray<int32_t> keys_array(count);
  int32_t* keys = keys_array.data();
  for_each_index("block_read keys", count, [=] __device__(int64_t i) {
    const int64_t bh = i / s.tokens;
    const int32_t block = blocks[s.slot_offset(bh, i % s.tokens, slot)];
    keys[i] = static_cast<int32_t>(bh * keys_a_head + (block < 0 ? s.blocks() : block));
  });
  sort_places(keys, count, s.heads() * keys_a_head, order, start);
}

/// Cuts the queries of each block into tiles. A block has one place more than the whole tiles before it
/// leave, so that each knows its places by itself; those that it does not need are idle.
inline void cut_tiles(const BlockTiles& tiles, BlockTile* to) {
  const BlockTiles x = tiles;
  const int64_t blocks = x.s.blocks();
  for_each_index("block_read tiles", x.heads * blocks, [=] __device__(int64_t i) {
    const int64_t head = i / blocks, block = i % blocks;
    const int32_t* start = x.start + (x.first_head + head) * (blocks + 1) + block;
    int32_t begin = start[0];
    const int64_t end = block + 1 < blocks ? x.first_tile(head, block + 1) : (head + 1) * x.per_head;
    for (int64_t tile = x.first_tile(head, block); tile < end; ++tile, begin += kTileRows) {
      const int64_t rows = start[1] - begin < kTileRows ? start[1] - begin : kTileRows;
      to[tile] = {static_cast<int32_t>(block), begin, static_cast<int32_t>(rows > 0 ? rows : 0)};
    }
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
  gemm_at<T>(
      {.m = kTileRows, .n = out, .k = in, .transpose_b = transpose, .alpha = alpha, .ldb = t.s.width()},
      t.count(), a, b, c);
}

/// Calls `work(tiles)` slot after slot for groups of heads whose tiles need at most `most` numbers together,
/// where a row of a tile needs `row_size`.
template <class Work>
void for_block_tiles(const RetrievalShape& s, const int32_t* blocks, int64_t row_size, const Work& work,
                     int64_t most = int64_t{128} << 20) {
  if (s.blocks() == 0) return;
  const int64_t per_head = ceil_div(s.tokens, kTileRows) + s.blocks();
  const int64_t together = std::clamp<int64_t>(most / (per_head * kTileRows * row_size), 1, s.heads());
  DeviceArray<int32_t> order(s.heads() * s.tokens), start(s.heads() * (s.blocks() + 1) + 1);
  DeviceArray<BlockTile> table(together * per_head);
  for (int64_t slot = 0; slot < s.slots; ++slot) {
    sort_queries(s, blocks, slot, order.data(), start.data());
    for (int64_t first = 0; first < s.heads(); first += together) {
      const BlockTiles tiles{s,        slot,         first,        std::min(together, s.heads() - first),
                             per_head, order.data(), start.data(), table.data()};
      cut_tiles(tiles, table.data());
      work(tiles);
    }
  }
}

}  // namespace tapestry::cuda
