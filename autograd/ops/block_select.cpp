#include "autograd/ops/block_select.h"

#include <limits>
#include <span>

#include "autograd/gemm.h"

namespace tapestry::cpu {
namespace {

/// Scores are taken for so many tokens at once, also at the end of the sequence, where rows of zeros fill up.
constexpr int64_t kTokens = 64;

/// The `slots` best candidates of one token, best first.
template <class T>
class Best {
 public:
  explicit Best(int64_t slots) : slots_(slots), keys_(slots), chunks_(slots) {}

  void clear() { size_ = 0; }
  /// Whether a candidate with this key, later than all others, comes in.
  bool takes(T key) const { return size_ < slots_ || key >= keys_[size_ - 1]; }
  void add(T key, int64_t chunk) {
    int64_t at = size_ < slots_ ? size_++ : size_ - 1;
    for (; at > 0 && key >= keys_[at - 1]; --at) {
      keys_[at] = keys_[at - 1];
      chunks_[at] = chunks_[at - 1];
    }
    keys_[at] = key;
    chunks_[at] = static_cast<int32_t>(chunk);
  }
  /// Their chunks, ascending.
  std::span<const int32_t> sorted_chunks() {
    std::sort(chunks_.begin(), chunks_.begin() + size_);
    return {chunks_.data(), static_cast<size_t>(size_)};
  }

 private:
  int64_t slots_, size_ = 0;
  std::vector<T> keys_;
  std::vector<int32_t> chunks_;
};

/// The best of the candidates in `range`. Most blocks have nothing to offer: their largest key says so.
template <class T>
void choose(const T* scores, RetrievalShape::Range range, Best<T>& best) {
  constexpr int64_t block = 16;
  best.clear();
  for (int64_t first = range.begin; first < range.end; first += block) {
    const int64_t count = std::min(block, range.end - first);
    T keys[block], largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < count; ++i) {
      keys[i] = scores[first + i] + static_cast<T>(kTieBreak) * static_cast<T>(first + i);
      largest = keys[i] > largest ? keys[i] : largest;
    }
    if (!best.takes(largest)) continue;
    for (int64_t i = 0; i < count; ++i) {
      if (best.takes(keys[i])) best.add(keys[i], first + i);
    }
  }
}

/// scores [tile_rows, columns] of the tokens from `first` on against all chunks up to `columns`.
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
void select_chunks(const RetrievalShape& s, const T* r, const T* h, int32_t* chunks, T* scores) {
  const int64_t tiles = ceil_div(s.tokens, kTokens);
  parallel_jobs(s.heads() * tiles, [&](int64_t job) {
    const int64_t bh = job % s.heads();
    const int64_t first = (tiles - 1 - job / s.heads()) * kTokens;  // the late ones are the long ones
    const int64_t end = std::min(first + kTokens, s.tokens);
    const int64_t columns = s.candidates(end - 1).end;
    std::vector<T> tile(s.tile_rows(kTokens) * columns);
    score_tile(s, r + s.head_offset(bh, s.tokens), h + s.head_offset(bh, s.chunks()), first, columns,
               tile.data());
    Best<T> best(s.slots);
    for (int64_t t = first; t < end; ++t) {
      const T* row = tile.data() + (t - first) * columns;
      choose(row, s.candidates(t), best);
      const std::span<const int32_t> chosen = best.sorted_chunks();
      for (int64_t slot = 0; slot < s.slots; ++slot) {
        const int64_t at = (bh * s.slots + slot) * s.tokens + t;
        const bool used = slot < static_cast<int64_t>(chosen.size());
        chunks[at] = used ? chosen[slot] : -1;
        scores[at] = used ? row[chosen[slot]] : T(0);
      }
    }
  });
}

template void select_chunks(const RetrievalShape&, const float*, const float*, int32_t*, float*);
template void select_chunks(const RetrievalShape&, const double*, const double*, int32_t*, double*);

Buckets::Buckets(const RetrievalShape& s, const int32_t* chunks, int64_t slot)
    : n_tokens_(s.tokens),
      n_chunks_(s.chunks()),
      tokens_(s.heads() * s.tokens),
      start_(s.heads() * (s.chunks() + 1)) {
  parallel_for(s.heads(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t bh = begin; bh < end; ++bh) {
      const int32_t* chosen = chunks + (bh * s.slots + slot) * s.tokens;
      int32_t* start = &start_[bh * (n_chunks_ + 1)];
      for (int64_t t = 0; t < s.tokens; ++t) {
        if (chosen[t] >= 0) ++start[chosen[t] + 1];
      }
      for (int64_t j = 0; j < n_chunks_; ++j) start[j + 1] += start[j];
      std::vector<int32_t> next(start, start + n_chunks_);
      for (int64_t t = 0; t < s.tokens; ++t) {
        if (chosen[t] >= 0) tokens_[bh * s.tokens + next[chosen[t]]++] = static_cast<int32_t>(t);
      }
    }
  });
}

}  // namespace tapestry::cpu
