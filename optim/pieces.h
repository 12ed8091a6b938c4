#pragma once

#include <algorithm>
#include <vector>

#include "base/flush_denormals.h"
#include "base/parallel.h"

namespace tapestry {

/// Elements [begin, end) of block `block`.
struct Piece {
  size_t block;
  int64_t begin, end;
};

/// The pieces of all blocks, in order; a block is a struct with its number of elements `n`.
template <class Block>
std::vector<Piece> split(const Block* blocks, size_t count) {
  constexpr int64_t grain = 1 << 14;
  std::vector<Piece> pieces;
  for (size_t k = 0; k < count; ++k) {
    for (int64_t begin = 0; begin < blocks[k].n; begin += grain) {
      pieces.push_back({k, begin, std::min(blocks[k].n, begin + grain)});
    }
  }
  return pieces;
}

/// Calls `work(block, begin, end)` for all pieces as one parallel loop, denormals flushed to zero. A loop for
/// each of hundreds of small parameters waits for the slowest thread as often: where another process holds a
/// core, each wait costs milliseconds.
template <class Block, class Work>
void for_pieces(const Block* blocks, size_t count, const Work& work) {
  const std::vector<Piece> pieces = split(blocks, count);
  parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    for (int64_t i = begin; i < end; ++i) work(blocks[pieces[i].block], pieces[i].begin, pieces[i].end);
  });
}

}  // namespace tapestry
