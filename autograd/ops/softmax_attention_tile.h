#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "autograd/gemm.h"
#include "autograd/gemm_bf16.h"
#include "autograd/math.h"
#include "autograd/ops/softmax_attention.h"
#include "autograd/scratch.h"
#include "autograd/storage.h"
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

/// Calls `f(In{})` with In the type of the operands of products of T.
template <class T, class F>
void for_operand_type(const F& f) {
  if constexpr (std::is_same_v<T, float>) {
    if (multiplies_bf16_in(product_precision())) return f(BFloat16{});
  }
  f(T{});
}

/// A tensor [B, T, C] as an operand of products, by head: as it is, or rounded, a head's rows then dense, for
/// which oneDNN is fastest.
template <class In, class T>
class Operand {
  static constexpr bool rounded = !std::is_same_v<In, T>;

 public:
  Operand(const AttentionShape& s, const T* x) : s_(s), memory_(Device::cpu(), rounded ? bytes(s) : 0) {
    if constexpr (rounded) {
      In* to = static_cast<In*>(memory_.mutable_data());
      parallel_for(s.batch * s.n_head, 1, [&](int64_t begin, int64_t end) {
        for (int64_t head = begin; head < end; ++head)
          round_matrix(x + Head(s, head).rows, s.tokens, s.head_width, s.width(), to + dense_rows(head));
      });
      data_ = to;
    } else {
      data_ = x;
    }
  }
  const In* head(int64_t i) const { return data_ + (rounded ? dense_rows(i) : Head(s_, i).rows); }
  /// Numbers from row to row.
  int64_t ld() const { return rounded ? s_.head_width : s_.width(); }

 private:
  static int64_t bytes(const AttentionShape& s) { return s.batch * s.tokens * s.width() * sizeof(In); }
  int64_t dense_rows(int64_t head) const { return head * s_.tokens * s_.head_width; }

  AttentionShape s_;
  Storage memory_;
  const In* data_;
};

/// A tile as an operand: as it is, or rounded into `buffer`.
template <class In, class T>
const In* operand(const T* tile, int64_t size, In* buffer) {
  if constexpr (std::is_same_v<In, T>) {
    return tile;
  } else {
    round_matrix(tile, 1, size, size, buffer);
    return buffer;
  }
}

/// scores [queries, keys] = scale q k^T, and -inf where a key is hidden. q and k are the first rows of the
/// tile, `ldq` and `ldk` apart.
template <class In, class T>
void score_tile(const AttentionShape& s, const In* q, int64_t ldq, const In* k, int64_t ldk, Range queries,
                Range keys, T* scores) {
  gemm<In>({.m = queries.size(),
            .n = keys.size(),
            .k = s.head_width,
            .transpose_b = true,
            .alpha = s.scale,
            .lda = ldq,
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
