#pragma once

#include <limits>

#include "autograd/tensor.h"

namespace tapestry {

/// Which keys a query may see: i <= t with i >= floor(t / chunk) * chunk - reach, or i < sink (once each).
/// The default is all of the past; chunk = 1, reach = w - 1 is a sliding window of w; chunk = c, reach = o is
/// the local part of BSBR with overlap o (ATTENTION sections 1, 2 and 7.1).
struct Visible {
  static constexpr int64_t everything = std::numeric_limits<int64_t>::max() / 4;
  int64_t chunk = 1;
  int64_t reach = everything;
  int64_t sink = 0;

  /// The first key, apart from the sinks, that query t sees.
  constexpr int64_t first(int64_t t) const {
    const int64_t i = t / chunk * chunk - reach;
    return i > 0 ? i : 0;
  }
  /// The first query that no longer sees key i.
  constexpr int64_t end(int64_t i) const { return i < sink ? everything : ((i + reach) / chunk + 1) * chunk; }
};

/// Softmax attention over the visible keys, o_t = sum_i softmax_i(scale q_t.k_i) v_i by head: q, k, v
/// [B, T, C] -> [B, T, C]. Tiled: never T x T. Saves q, k, v, the output and one number a row and head
/// (ATTENTION 0.3).
Tensor softmax_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t n_head, double scale,
                         Visible visible = {});

/// The same for tokens that follow `past` others, whose keys and values are kept: q [1, T, C] -> [1, T, C].
/// Row i of k and v [rows, C] belongs to token i, those of the T new tokens included; from visible.sink on to
/// token i + gap: the tokens in between no new one sees. Not recorded.
struct KeptKeys {
  const Tensor &k, &v;
  int64_t past, gap;
};
Tensor continue_softmax_attention(const Tensor& q, const KeptKeys& kept, int64_t n_head, double scale,
                                  Visible visible);

/// The sizes of one call: q, k, v and o are [batch, tokens, n_head * head_width], lse and D are
/// [batch, n_head, tokens].
struct AttentionShape {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t n_head = 0;
  int64_t head_width = 0;
  double scale = 1;
  Visible visible = {};
  // Of the forward kernel with a batch of 1: the queries are tokens `past` and later, and the row of key i is
  // i - gap unless it is a sink.
  int64_t past = 0, gap = 0;

  constexpr int64_t width() const { return n_head * head_width; }
};

namespace cpu {
/// o and lse_t = log sum_i exp(scale q_t.k_i) over the visible keys, by which several such outputs merge.
template <class T>
void softmax_attention_forward(const AttentionShape& shape, const T* q, const T* k, const T* v, T* o, T* lse);
/// dq, dk, dv = the gradient through P_ti = exp(scale q_t.k_i - lse_t): dv_i = sum_t P_ti do_t,
/// dS_ti = P_ti (do_t.v_i - D_t). For a softmax over more than the visible keys, lse and D are those of the
/// merged output.
template <class T>
void softmax_attention_backward(const AttentionShape& shape, const T* q, const T* k, const T* v, const T* lse,
                                const T* D, const T* dout, T* dq, T* dk, T* dv);
/// D_t = do_t.o_t by head.
template <class T>
void head_dots(const AttentionShape& shape, const T* o, const T* dout, T* D);
}  // namespace cpu
namespace cuda {
template <class T>
void softmax_attention_forward(const AttentionShape& shape, const T* q, const T* k, const T* v, T* o, T* lse);
template <class T>
void softmax_attention_backward(const AttentionShape& shape, const T* q, const T* k, const T* v, const T* lse,
                                const T* D, const T* dout, T* dq, T* dk, T* dv);
template <class T>
void head_dots(const AttentionShape& shape, const T* o, const T* dout, T* D);
}  // namespace cuda

}  // namespace tapestry
