#include "autograd/ops/block_select.h"

#include <functional>
#include <limits>
#include <span>

#include "autograd/gemm.h"
#include "autograd/scratch.h"

namespace tapestry::cpu {
namespace {

/// Scores are taken for so many tokens at once, also at the end of the sequence, where rows of zeros fill up.
constexpr int64_t kTokens = 128;
/// Steps of the search for a bound on the keys that are chosen.
constexpr int kHalvings = 10;

/// Finds the `slots` best of a token's candidates.
template <class T>
class BestBlocks {
 public:
  /// Of up to so many candidates.
  BestBlocks(int64_t slots, int64_t candidates)
      : slots_(slots), lanes_(ceil_div(2 * slots, 16) * 16), keys_(candidates), kept_(candidates + 1) {}

  /// Those with the largest keys, ascending; of equal ones the later.
  std::span<const int32_t> operator()(const T* scores, RetrievalShape::Range range) {
    const int64_t count = std::max<int64_t>(range.end - range.begin, 0);
    T* keys = keys_.data();
#pragma omp simd
    for (int64_t i = 0; i < count; ++i)
      keys[i] = scores[range.begin + i] + static_cast<T>(kTieBreak) * static_cast<T>(range.begin + i);
    const int64_t size = cut(reach(lower_bound(count), count));
    for (int64_t i = 0; i < size; ++i) kept_[i] += static_cast<int32_t>(range.begin);
    return {kept_.data(), static_cast<size_t>(size)};
  }

 private:
  /// A key that at least `slots` of so many candidates reach, and not many more: every lane has its largest
  /// key, and so many lanes reach this one.
  T lower_bound(int64_t count) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    if (count <= lanes_) return kNone;
    largest_.assign(lanes_, kNone);
    T* largest = largest_.data();
    for (int64_t begin = 0; begin < count; begin += lanes_) {
      const int64_t lanes = std::min(lanes_, count - begin);
      const T* keys = keys_.data() + begin;
#pragma omp simd
      for (int64_t i = 0; i < lanes; ++i) largest[i] = keys[i] > largest[i] ? keys[i] : largest[i];
    }
    const auto [least, most] = std::minmax_element(largest, largest + lanes_);
    T low = *least, high = *most;
    for (int step = 0; step < kHalvings; ++step) {
      const T middle = (low + high) / 2;
      (lanes_that_reach(middle) >= slots_ ? low : high) = middle;
    }
    return low;
  }

  int32_t lanes_that_reach(T key) const {
    const T* largest = largest_.data();
    int32_t count = 0;
#pragma omp simd reduction(+ : count)
    for (int64_t i = 0; i < lanes_; ++i) count += largest[i] >= key;
    return count;
  }

  /// Keeps the candidates whose keys reach `least`; returns their number.
  int64_t reach(T least, int64_t count) {
    const T* keys = keys_.data();
    int32_t* kept = kept_.data();
    int64_t size = 0;
    for (int32_t i = 0; i < count; ++i) {
      kept[size] = i;
      size += keys[i] >= least;
    }
    return size;
  }

  /// Leaves the best of the `size` candidates kept; returns their number.
  int64_t cut(int64_t size) {
    if (size <= slots_) return size;
    ranked_.clear();
    for (int64_t i = 0; i < size; ++i) ranked_.push_back(keys_[kept_[i]]);
    std::nth_element(ranked_.begin(), ranked_.begin() + slots_ - 1, ranked_.end(), std::greater<T>());
    const T last = ranked_[slots_ - 1];
    int64_t surplus = -slots_;  // of those that reach it: the earlier ones of its equals
    for (int64_t i = 0; i < size; ++i) surplus += keys_[kept_[i]] >= last;
    int64_t left = 0;
    for (int64_t i = 0; i < size; ++i) {
      const T key = keys_[kept_[i]];
      if (key < last || (key == last && surplus-- > 0)) continue;
      kept_[left++] = kept_[i];
    }
    return left;
  }

  int64_t slots_, lanes_;
  std::vector<T> keys_, largest_, ranked_;
  std::vector<int32_t> kept_;
};

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
           .precision = kChoicePrecision},
          rows.data(), h, scores);
}

}  // namespace

template <class T>
void select_blocks(const RetrievalShape& s, const T* r, const T* h, int32_t* blocks, T* scores) {
  const int64_t tiles = ceil_div(s.tokens, kTokens);
  const Scratch<T> memory(s.tile_rows(kTokens) * s.blocks());
  parallel_jobs(s.heads() * tiles, [&](int64_t job) {
    const int64_t bh = job % s.heads();
    const int64_t first = (tiles - 1 - job / s.heads()) * kTokens;  // the late ones are the long ones
    const int64_t end = std::min(first + kTokens, s.tokens);
    const int64_t columns = s.candidates(end - 1).end;
    T* tile = memory.mine();
    score_tile(s, r + s.head_offset(bh, s.tokens), h + s.head_offset(bh, s.blocks()), first, columns, tile);
    BestBlocks<T> best(s.slots, columns);
    for (int64_t t = first; t < end; ++t) {
      const T* row = tile + (t - first) * columns;
      const std::span<const int32_t> chosen = best(row, s.candidates(t));
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
