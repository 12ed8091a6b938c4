#include "autograd/ops/block_select.h"

#include "autograd/cuda/pick.cuh"
#include "autograd/gemm.h"

namespace tapestry::cuda {
namespace {

/// Scores are taken for so many tokens at once, also at the end of the sequence, where rows of zeros fill up:
/// a product may round differently with another number of rows, and the choice must not depend on what
/// follows.
constexpr int64_t kTokens = 256;

/// rows [heads, kTokens, d] = those of r from token `first` on.
template <class T>
void gather(const RetrievalShape& s, const T* r, int64_t first, T* rows) {
  const int64_t d = s.head_width;
  for_each_index("select_blocks rows", s.heads() * kTokens * d, [=] __device__(int64_t i) {
    const int64_t bh = i / d / kTokens, t = first + i / d % kTokens;
    rows[i] = t < s.tokens ? r[s.head_offset(bh, s.tokens) + t * s.width() + i % d] : T(0);
  });
}

/// The best candidates of the tokens from `first` on, whose scores are [heads, kTokens, columns].
template <class T>
void choose(const RetrievalShape& s, int64_t first, int64_t columns, const T* tile, int32_t* blocks,
            T* scores) {
  const int64_t count = std::min(kTokens, s.tokens - first);
  for_each_block("select_blocks", s.heads() * count, row_threads(columns), set_bytes_of(columns),
                 [=] __device__(int64_t i) {
                   const int64_t bh = i / count, in_tile = i % count;
                   const T* row = tile + (bh * kTokens + in_tile) * columns;
                   uint32_t* set = dynamic_shared<uint32_t>();
                   const auto range = s.candidates(first + in_tile);
                   const auto key = [=](int64_t j) {
                     return row[j] + static_cast<T>(kTieBreak) * static_cast<T>(j);
                   };
                   const auto put_slot = [=](int64_t slot, int64_t block, T score) {
                     const int64_t at = s.slot_offset(bh, first + in_tile, slot);
                     blocks[at] = static_cast<int32_t>(block);
                     scores[at] = score;
                   };
                   block_for(s.slots, [=](int64_t slot) { put_slot(slot, -1, 0); });
                   pick_largest(columns, range.begin, range.end, s.slots, key, set);
                   for_each_member(columns, set, [=](int64_t slot, int64_t j) { put_slot(slot, j, row[j]); });
                 });
}

}  // namespace

template <class T>
void select_blocks(const RetrievalShape& s, const T* r, const T* h, int32_t* blocks, T* scores) {
  const int64_t d = s.head_width;
  DeviceArray<T> rows_array(s.heads() * kTokens * d);
  T* rows = rows_array.data();
  for (int64_t first = 0; first < s.tokens; first += kTokens) {
    const int64_t end = std::min(first + kTokens, s.tokens);
    const int64_t columns = s.candidates(end - 1).end;
    DeviceArray<T> tile_array(s.heads() * kTokens * columns);
    T* tile = tile_array.data();
    gather(s, r, first, rows);
    Gemm g{.m = kTokens, .n = columns, .k = d, .transpose_b = true, .alpha = s.scale};
    g.ldb = s.width();
    g.precision = kChoicePrecision;
    g.batch = {Gemm::Batch{s.batch, s.retrieving * kTokens * d, s.blocks() * s.width(),
                           s.retrieving * kTokens * columns},
               Gemm::Batch{s.retrieving, kTokens * d, d, kTokens * columns}};
    gemm(g, rows, h + s.head_offset(0, 0), tile);
    choose(s, first, columns, tile, blocks, scores);
  }
}

#define INSTANTIATE(T) template void select_blocks(const RetrievalShape&, const T*, const T*, int32_t*, T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
