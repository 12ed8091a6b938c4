#pragma once

#include <algorithm>
#include <limits>

#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/ops/softmax_attention.h"
#include "autograd/scratch.h"
#include "base/parallel.h"

/// What the forward and the backward kernel of softmax attention share.
namespace tapestry::cpu {

constexpr int64_t kQueryTile = 64;

struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

/// One (sequence, head): where its rows start in [B, T, C] and in [B, H, T].
struct Head {
  int64_t rows, scalars;
  Head(const AttentionShape& s, int64_t i)
      : rows((i / s.n_head * s.tokens * s.n_head + i % s.n_head) * s.head_width), scalars(i * s.tokens) {}
};

/// scores [queries, keys] = scale q k^T, and -inf where a key is hidden. q and k are the first rows of the
/// tile, those of k `ldk` apart.
template <class T>
void score_tile(const AttentionShape& s, const T* q, const T* k, int64_t ldk, Range queries, Range keys,
                T* scores) {
  gemm<T>({.m = queries.size(),
           .n = keys.size(),
           .k = s.head_width,
           .transpose_b = true,
           .alpha = s.scale,
           .lda = s.width(),
           .ldb = ldk},
          q, k, scores);
  for (int64_t t = queries.begin; t < queries.end; ++t, scores += keys.size()) {
    const auto hide = [&](int64_t begin, int64_t end) {
      begin = std::clamp(begin, keys.begin, keys.end);
      end = std::clamp(end, begin, keys.end);
      std::fill(scores + begin - keys.begin, scores + end - keys.begin, -std::numeric_limits<T>::infinity());
    };
    hide(s.visible.sink, s.visible.first(t));
    hide(t + 1, keys.end);
  }
}

}  // namespace tapestry::cpu
