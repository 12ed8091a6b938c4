#include "autograd/ops/softmax_attention.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/softmax_attention_tile.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

AttentionShape shape_of(const Tensor& q, const Tensor& k, const Tensor& v, int64_t n_head, double scale,
                        const Visible& visible) {
  require(q.rank() == 3 && k.shape() == q.shape() && v.shape() == q.shape(), "softmax_attention: q ",
          q.shape(), ", k ", k.shape(), " and v ", v.shape(), " must be one [batch, tokens, width]");
  require(k.dtype() == q.dtype() && v.dtype() == q.dtype(), "softmax_attention: q is ", name_of(q.dtype()),
          ", k ", name_of(k.dtype()), ", v ", name_of(v.dtype()));
  require(n_head > 0 && q.dim(2) % n_head == 0, "softmax_attention: ", n_head, " heads do not divide width ",
          q.dim(2));
  require(visible.chunk > 0 && visible.reach >= 0 && visible.sink >= 0, "softmax_attention: a chunk of ",
          visible.chunk, ", a reach of ", visible.reach, ", ", visible.sink, " sinks");
  return {q.dim(0), q.dim(1), n_head, q.dim(2) / n_head, scale, visible};
}

void softmax_attention_backward(BackwardStep& step, const AttentionShape& shape) {
  const Tensor &q = step.saved(0), &k = step.saved(1), &v = step.saved(2), &o = step.saved(3),
               &lse = step.saved(4), &dout = step.gradient();
  // Buffers of its own for each gradient: two inputs may be the same tensor.
  Tensor dq = Tensor::empty_like(q), dk = Tensor::empty_like(k), dv = Tensor::empty_like(v),
         D = Tensor::empty_like(lse);
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), head_dots<T>(shape, o.data<T>(), dout.data<T>(), D.mutable_data<T>()));
    LAUNCH(q.device(), softmax_attention_backward<T>(
                           shape, q.data<T>(), k.data<T>(), v.data<T>(), lse.data<T>(), D.data<T>(),
                           dout.data<T>(), dq.mutable_data<T>(), dk.mutable_data<T>(), dv.mutable_data<T>()));
  });
  if (step.needs(0)) step.add(0, std::move(dq));
  if (step.needs(1)) step.add(1, std::move(dk));
  if (step.needs(2)) step.add(2, std::move(dv));
}

}  // namespace

Tensor softmax_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t n_head, double scale,
                         Visible visible) {
  const AttentionShape shape = shape_of(q, k, v, n_head, scale, visible);
  Tensor o = Tensor::empty_like(q);
  Tensor lse = Tensor::empty({shape.batch, shape.n_head, shape.tokens}, q.dtype(), q.device());
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), softmax_attention_forward<T>(shape, q.data<T>(), k.data<T>(), v.data<T>(),
                                                    o.mutable_data<T>(), lse.mutable_data<T>()));
  });
  record("softmax_attention", {q, k, v}, o, {q, k, v, o, lse},
         [shape](BackwardStep& step) { softmax_attention_backward(step, shape); });
  return o;
}

Tensor continue_softmax_attention(const Tensor& q, const KeptKeys& kept, int64_t n_head, double scale,
                                  Visible visible) {
  AttentionShape shape = shape_of(q, q, q, n_head, scale, visible);
  shape.past = kept.past;
  shape.gap = kept.gap;
  require(q.dim(0) == 1 && kept.k.shape() == kept.v.shape() && kept.k.dim(-1) == q.dim(2) &&
              kept.k.dtype() == q.dtype() && kept.past - kept.gap + q.dim(1) <= kept.k.dim(0),
          "continue_softmax_attention: q ", q.shape(), " after ", kept.past, " tokens less ", kept.gap,
          " against k ", kept.k.shape(), " and v ", kept.v.shape());
  Tensor o = Tensor::empty_like(q);
  Tensor lse = Tensor::empty({n_head, shape.tokens}, q.dtype(), q.device());
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), softmax_attention_forward<T>(shape, q.data<T>(), kept.k.data<T>(), kept.v.data<T>(),
                                                    o.mutable_data<T>(), lse.mutable_data<T>()));
  });
  return o;
}

namespace cpu {
namespace {

constexpr int64_t kKeyTile = 512;

/// The running softmax of a query tile: o holds sum_i exp(S_i - max) v_i so far.
template <class T>
struct Running {
  T *max, *sum, *o;
};

/// scores -> exp(scores - max) of row `row`, whose earlier part is rescaled to the new maximum.
template <class T>
void online_softmax(T* scores, int64_t n, int64_t row, int64_t width, const Running<T>& running) {
  T max = running.max[row];
#pragma omp simd reduction(max : max)
  for (int64_t i = 0; i < n; ++i) max = scores[i] > max ? scores[i] : max;
  // A tile may be hidden from a row altogether; -inf - -inf would be NaN.
  const T base = max == -std::numeric_limits<T>::infinity() ? T(0) : max;
  const T keep = exp_nonpositive(running.max[row] - base);
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    scores[i] = exp_nonpositive(scores[i] - base);
    sum += scores[i];
  }
  running.max[row] = max;
  running.sum[row] = running.sum[row] * keep + sum;
  T* o = running.o + row * width;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) o[j] *= keep;
}

/// Calls `work(keys)` for tiles that together hold all keys that a query of `queries` sees: sinks, then the
/// rest.
template <class Work>
void for_key_tiles(const Visible& visible, Range queries, const Work& work) {
  const int64_t first = visible.first(queries.begin), sinks = std::min(visible.sink, first);
  for (int64_t i = 0; i < sinks; i += kKeyTile) work(Range{i, std::min(i + kKeyTile, sinks)});
  for (int64_t i = first; i < queries.end; i += kKeyTile) work(Range{i, std::min(i + kKeyTile, queries.end)});
}

/// The operands of one (sequence, head), rows `ld` apart.
template <class In>
struct HeadInput {
  const In *q, *k, *v;
  int64_t ld;
};

/// q, o and lse are the first rows of the tile.
template <class In, class T>
void forward_tile(const AttentionShape& s, const HeadInput<In>& in, Range queries, T* o, T* lse, T* scratch) {
  const int64_t d = s.head_width, rows = queries.size();
  T* scores = scratch + (2 + d) * kQueryTile;
  In* rounded = reinterpret_cast<In*>(scores + kQueryTile * kKeyTile);
  const Running<T> running{scratch, scratch + kQueryTile, scratch + 2 * kQueryTile};
  std::fill(running.max, running.max + rows, -std::numeric_limits<T>::infinity());
  std::fill(running.sum, running.sum + rows, T(0));
  std::fill(running.o, running.o + rows * d, T(0));
  for_key_tiles(s.visible, queries, [&](Range keys) {
    const int64_t at = (keys.begin - (keys.begin < s.visible.sink ? 0 : s.gap)) * in.ld;
    score_tile(s, in.q, in.ld, in.k + at, in.ld, queries, keys, scores);
    for (int64_t row = 0; row < rows; ++row)
      online_softmax(scores + row * keys.size(), keys.size(), row, d, running);
    gemm<In>({.m = rows, .n = d, .k = keys.size(), .beta = 1, .ldb = in.ld},
             operand(scores, rows * keys.size(), rounded), in.v + at, running.o);
  });
  for (int64_t row = 0; row < rows; ++row) {
    const T scale = 1 / running.sum[row];
    for (int64_t j = 0; j < d; ++j) o[row * s.width() + j] = running.o[row * d + j] * scale;
    lse[row] = running.max[row] + std::log(running.sum[row]);
  }
}

template <class In, class T>
void forward_tiles(const AttentionShape& s, const T* q, const T* k, const T* v, T* o, T* lse) {
  const Operand<In, T> q_in(s, q), k_in(s, k), v_in(s, v);
  const Scratch<T> scratch(kQueryTile * (2 + s.head_width + 2 * kKeyTile));
  const int64_t tiles = ceil_div(s.tokens, kQueryTile);
  parallel_jobs(s.batch * s.n_head * tiles, [&](int64_t job) {
    const int64_t head = job / tiles, begin = (tiles - 1 - job % tiles) * kQueryTile;  // the longest first
    const Range queries{s.past + begin, s.past + std::min(begin + kQueryTile, s.tokens)};
    const int64_t ld = q_in.ld();
    const HeadInput<In> in{q_in.head(head) + begin * ld, k_in.head(head), v_in.head(head), ld};
    const Head at(s, head);
    forward_tile(s, in, queries, o + at.rows + begin * s.width(), lse + at.scalars + begin, scratch.mine());
  });
}

}  // namespace

template <class T>
void softmax_attention_forward(const AttentionShape& s, const T* q, const T* k, const T* v, T* o, T* lse) {
  // Kept keys are more than q has rows, and few queries are not worth rounding them all.
  if (s.past > 0) return forward_tiles<T>(s, q, k, v, o, lse);
  for_operand_type<T>([&]<class In>(In) { forward_tiles<In>(s, q, k, v, o, lse); });
}

template <class T>
void head_dots(const AttentionShape& s, const T* o, const T* dout, T* D) {
  parallel_for(s.batch * s.tokens, 64, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t h = 0; h < s.n_head; ++h) {
        const int64_t at = (row * s.n_head + h) * s.head_width;
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < s.head_width; ++j) sum += o[at + j] * dout[at + j];
        D[(row / s.tokens * s.n_head + h) * s.tokens + row % s.tokens] = sum;
      }
    }
  });
}

template void softmax_attention_forward(const AttentionShape&, const float*, const float*, const float*,
                                        float*, float*);
template void softmax_attention_forward(const AttentionShape&, const double*, const double*, const double*,
                                        double*, double*);
template void head_dots(const AttentionShape&, const float*, const float*, float*);
template void head_dots(const AttentionShape&, const double*, const double*, double*);

}  // namespace cpu
}  // namespace tapestry
