#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "autograd/ops/chunks.h"
#include "base/parallel.h"

namespace tapestry {

/// The sizes of one retrieval of blocks (ATTENTION section 7.6, docs/bsbr-tokens.md) by the last `retrieving`
/// of n_head heads: q, k, v, r are [batch, tokens, width], the summaries h [batch, blocks, width], what is
/// kept for each token and slot [batch, retrieving, tokens, slots]. `bh` counts (batch, retrieving head).
struct RetrievalShape {
  int64_t batch = 0, tokens = 0, n_head = 0, retrieving = 0, head_width = 0;
  double scale = 1;
  bool hierarchical = false;  // see BlockRetrieval
  int64_t chunk = 1;          // a token reads its own locally
  int64_t block = 1;          // tokens that are retrieved together
  int64_t slots = 0;          // blocks that a token retrieves, at most
  int64_t overlap = 0, sink = 0;
  int64_t past = 0;  // forward with a batch of 1: row t of q and r is token past + t; k, v and h begin at 0

  struct Range {
    int64_t begin, end;
  };

  /// Tiles of queries are filled up to `usual` rows, since a product may round differently with another
  /// number of rows, and no bit may depend on what follows. Nothing follows a single token.
  constexpr int64_t tile_rows(int64_t usual) const { return tokens == 1 ? 1 : usual; }
  constexpr int64_t width() const { return n_head * head_width; }
  constexpr int64_t heads() const { return batch * retrieving; }
  constexpr int64_t head_of(int64_t bh) const { return n_head - retrieving + bh % retrieving; }
  constexpr int64_t blocks() const { return finished_chunks(past + tokens, block); }
  /// Keys from here on are local to the query in row t, and so are the sinks.
  constexpr int64_t first_local(int64_t t) const { return (past + t) / chunk * chunk - overlap; }
  /// The blocks that it may retrieve: finished, and not wholly local.
  constexpr Range candidates(int64_t t) const {
    const int64_t local = first_local(t);
    return local > sink ? Range{sink / block, ceil_div(local, block)} : Range{0, 0};
  }
  /// The keys of the candidate j that are not local to query t, counted from the start of the block.
  constexpr Range keys(int64_t t, int64_t j) const {
    return {std::max<int64_t>(sink - j * block, 0), std::min(first_local(t) - j * block, block)};
  }
  /// Where the rows of `bh` begin in a tensor of `rows` rows a batch.
  constexpr int64_t head_offset(int64_t bh, int64_t rows) const {
    return bh / retrieving * rows * width() + head_of(bh) * head_width;
  }
  /// The place of one slot of query t.
  constexpr int64_t slot_offset(int64_t bh, int64_t t, int64_t slot) const {
    return (bh * tokens + t) * slots + slot;
  }
  /// Where its numbers begin in [batch, n_head, tokens].
  constexpr int64_t token_offset(int64_t bh) const {
    return (bh / retrieving * n_head + head_of(bh)) * tokens;
  }
};

namespace cpu {

/// For every token and retrieving head the candidates with the `slots` largest scores s_tj = scale r_t.h_j,
/// ties going to the later block: their numbers in ascending order in `blocks` (-1 in slots left over) and
/// their scores in `scores` [batch, retrieving, tokens, slots].
template <class T>
void select_blocks(const RetrievalShape& shape, const T* r, const T* h, int32_t* blocks, T* scores);

/// Which of some queries of one (batch, retrieving head) retrieve each block, ascending.
class BlockReaders {
 public:
  struct Reader {
    int32_t token, slot;
  };
  BlockReaders() = default;
  BlockReaders(const RetrievalShape& shape, const int32_t* blocks, int64_t bh, RetrievalShape::Range queries);
  std::span<const Reader> of(int64_t block) const {
    return {readers_.data() + start_[block], static_cast<size_t>(start_[block + 1] - start_[block])};
  }

 private:
  std::vector<Reader> readers_;  // by block
  std::vector<int64_t> start_;   // of each block's readers
};

}  // namespace cpu
namespace cuda {
template <class T>
void select_blocks(const RetrievalShape& shape, const T* r, const T* h, int32_t* blocks, T* scores);
}  // namespace cuda

}  // namespace tapestry
