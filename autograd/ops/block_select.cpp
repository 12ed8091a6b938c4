#include "autograd/ops/block_select.h"

#include <limits>
#include <span>
#include <type_traits>

#include "autograd/gemm.h"

namespace tapestry::cpu {
namespace {

/// Scores are taken for so many tokens at once, also at the end of the sequence, where rows of zeros fill up.
constexpr int64_t kTokens = 64;
/// Candidates that are looked at together.
constexpr int64_t kGroup = 16;

/// The `slots` best candidates of one token, best first.
template <class T>
class Best {
 public:
  explicit Best(int64_t slots) : slots_(slots), keys_(slots), blocks_(slots) {}

  void clear() { size_ = 0; }
  /// Whether a candidate with this key, earlier than all others, comes in.
  bool takes(T key) const { return size_ < slots_ || key > keys_[size_ - 1]; }
  void add(T key, int64_t block) {
    int64_t at = size_ < slots_ ? size_++ : size_ - 1;
    for (; at > 0 && key > keys_[at - 1]; --at) {
      keys_[at] = keys_[at - 1];
      blocks_[at] = blocks_[at - 1];
    }
    keys_[at] = key;
    blocks_[at] = static_cast<int32_t>(block);
  }
  /// Their blocks, ascending.
  std::span<const int32_t> sorted_blocks() {
    std::sort(blocks_.begin(), blocks_.begin() + size_);
    return {blocks_.data(), static_cast<size_t>(size_)};
  }

 private:
  int64_t slots_, size_ = 0;
  std::vector<T> keys_;
  std::vector<int32_t> blocks_;
};

/// Offers the candidates [first, first + count) to `best`, the last one first. Most groups have nothing to
/// offer: their largest key says so.
template <class T, class Count>
void offer(const T* scores, int64_t first, Count count, Best<T>& best) {
  T keys[kGroup], largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    keys[i] = scores[first + i] + static_cast<T>(kTieBreak) * static_cast<T>(first + i);
    largest = keys[i] > largest ? keys[i] : largest;
  }
  if (!best.takes(largest)) return;
  for (int64_t i = count - 1; i >= 0; --i) {
    if (best.takes(keys[i])) best.add(keys[i], first + i);
  }
}

/// The best of the candidates in `range`. The late ones come first, which are the best as long as all keys
/// are alike.
template <class T>
void choose(const T* scores, RetrievalShape::Range range, Best<T>& best) {
  best.clear();
  int64_t end = range.end;
  for (; end - kGroup >= range.begin; end -= kGroup)
    offer(scores, end - kGroup, std::integral_constant<int64_t, kGroup>{}, best);
  offer(scores, range.begin, std::max<int64_t>(end - range.begin, 0), best);
}

/// scores [tile_rows, columns] of the tokens from `first` on against all blocks up to `columns`.
template <class T>
void score_tile(const RetrievalShape& s, const T* r, const T* h, int64_t first, int64_t columns, T* scores) {
  const int64_t height = s.tile_rows(kTokens), count = std::min(height, s.tokens - first);
  std::vector<T> rows(height * s.head_width);
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(r + (first + i) * s.width(), s.head_width, &rows[i * s.head_width]);
  }
  gemm<T>({.m = height,
           .n = columns,
           .k = s.head_width,
           .transpose_b = true,
           .alpha = s.scale,
           .ldb = s.width(),
           .precision = Precision::float32},
          rows.data(), h, scores);
}

}  // namespace

template <class T>
void select_blocks(const RetrievalShape& s, const T* r, const T* h, int32_t* blocks, T* scores) {
  const int64_t tiles = ceil_div(s.tokens, kTokens);
  parallel_jobs(s.heads() * tiles, [&](int64_t job) {
    const int64_t bh = job % s.heads();
    const int64_t first = (tiles - 1 - job / s.heads()) * kTokens;  // the late ones are the long ones
    const int64_t end = std::min(first + kTokens, s.tokens);
    const int64_t columns = s.candidates(end - 1).end;
    std::vector<T> tile(s.tile_rows(kTokens) * columns);
    score_tile(s, r + s.head_offset(bh, s.tokens), h + s.head_offset(bh, s.blocks()), first, columns,
               tile.data());
    Best<T> best(s.slots);
    for (int64_t t = first; t < end; ++t) {
      const T* row = tile.data() + (t - first) * columns;
      choose(row, s.candidates(t), best);
      const std::span<const int32_t> chosen = best.sorted_blocks();
      for (int64_t slot = 0; slot < s.slots; ++slot) {
        const int64_t at = s.slot_offset(bh, t, slot);
        const bool used = slot < static_cast<int64_t>(chosen.size());
        blocks[at] = used ? chosen[slot] : -1;
        scores[at] = used ? row[chosen[slot]] : T(0);
      }
    }
  });
}

template void select_blocks(const RetrievalShape&, const float*, const float*, int32_t*, float*);
template void select_blocks(const RetrievalShape&, const double*, const double*, int32_t*, double*);

BlockReaders::BlockReaders(const RetrievalShape& s, const int32_t* blocks, int64_t bh,
                           RetrievalShape::Range queries)
    : start_(s.blocks() + 1) {
  const auto for_each_reader = [&](const auto& f) {
    for (int64_t t = queries.begin; t < queries.end; ++t) {
      for (int64_t slot = 0; slot < s.slots; ++slot) {
        const int32_t j = blocks[s.slot_offset(bh, t, slot)];
        if (j < 0) break;  // the rest is unused
        f(j, Reader{static_cast<int32_t>(t), static_cast<int32_t>(slot)});
      }
    }
  };
  for_each_reader([&](int32_t j, Reader) { ++start_[j + 1]; });
  for (size_t j = 1; j < start_.size(); ++j) start_[j] += start_[j - 1];
  readers_.resize(start_.back());
  std::vector<int64_t> next(start_.begin(), start_.end() - 1);
  for_each_reader([&](int32_t j, Reader reader) { readers_[next[j]++] = reader; });
}

}  // namespace tapestry::cpu
