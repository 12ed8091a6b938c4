#include "autograd/ops/relu2_attention.h"

#include <algorithm>

#include "autograd/math.h"
#include "autograd/ops/chunk_tile.h"
#include "autograd/ops/linear.h"
#include "autograd/scratch.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

void check_shapes(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& rel_bias, int64_t chunk) {
  require(q.rank() == 3 && q.dim(1) >= 1 && k.shape() == q.shape() && v.rank() == 3 && v.dim(0) == q.dim(0) &&
              v.dim(1) == q.dim(1),
          "relu2_attention: q ", q.shape(), ", k ", k.shape(), " and v ", v.shape());
  require(chunk >= 1 && (!rel_bias.defined() || rel_bias.shape() == Shape{chunk}), "relu2_attention: a bias ",
          rel_bias.shape(), " for chunks of ", chunk);
}

void relu2_attention_backward(BackwardStep& step, const Relu2Shape& shape) {
  const Tensor &q = step.saved(0), &k = step.saved(1), &v = step.saved(2), &bias = step.saved(3),
               &dout = step.gradient();
  // Buffers of its own for each gradient: two inputs may be the same tensor.
  Tensor dq = Tensor::empty_like(q), dk = Tensor::empty_like(k), dv = Tensor::empty_like(v),
         dbias = Tensor::empty({shape.chunks(), shape.grid.chunk}, q.dtype(), q.device());
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(),
           relu2_attention_backward<T>(shape, q.data<T>(), k.data<T>(), v.data<T>(), bias.data<T>(),
                                       dout.data<T>(), dq.mutable_data<T>(), dk.mutable_data<T>(),
                                       dv.mutable_data<T>(), dbias.mutable_data<T>()));
    if (step.needs(3)) {
      Destination sum = step.into(3);
      LAUNCH(q.device(),
             column_sum<T>(dbias.data<T>(), sum.data<T>(), shape.chunks(), shape.grid.chunk, sum.accumulate));
    }
  });
  if (step.needs(0)) step.add(0, std::move(dq));
  if (step.needs(1)) step.add(1, std::move(dk));
  if (step.needs(2)) step.add(2, std::move(dv));
}

}  // namespace

Tensor relu2_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& rel_bias,
                       int64_t chunk, double scale) {
  check_shapes(q, k, v, rel_bias, chunk);
  // A chunk longer than the sequence needs no bias beyond it.
  if (!rel_bias.defined()) chunk = std::min(chunk, q.dim(1));
  const Tensor bias = rel_bias.defined() ? rel_bias : Tensor::zeros({chunk}, q.dtype(), q.device());
  const Relu2Shape shape{{q.dim(0), q.dim(1), 1, chunk}, q.dim(2), v.dim(2), scale};
  Tensor o = Tensor::empty_like(v);
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), relu2_attention_forward<T>(shape, q.data<T>(), k.data<T>(), v.data<T>(),
                                                  bias.data<T>(), o.mutable_data<T>()));
  });
  record("relu2_attention", {q, k, v, rel_bias}, o, {q, k, v, bias},
         [shape](BackwardStep& step) { relu2_attention_backward(step, shape); });
  return o;
}

Tensor continue_relu2_attention(const Tensor& q, const ChunkKeys& keys, const Tensor& rel_bias,
                                double scale) {
  const int64_t seen = keys.past + q.dim(1), s = q.dim(2), e = keys.v.dim(-1);
  require(q.dim(0) == 1 && keys.k.dim(-1) == s && keys.first + seen <= keys.k.dim(0) &&
              keys.first + seen <= keys.v.dim(0) && (!rel_bias.defined() || seen <= rel_bias.dim(0)),
          "continue_relu2_attention: q ", q.shape(), " after ", keys.past, " tokens of its chunk against k ",
          keys.k.shape(), " and v ", keys.v.shape());
  const Tensor bias = rel_bias.defined() ? rel_bias : Tensor::zeros({seen}, q.dtype(), q.device());
  const Relu2Shape shape{{1, seen, 1, seen}, s, e, scale, keys.past};
  Tensor o = Tensor::empty({1, q.dim(1), e}, q.dtype(), q.device());
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), relu2_attention_forward<T>(shape, q.data<T>(), keys.k.data<T>() + keys.first * s,
                                                  keys.v.data<T>() + keys.first * e, bias.data<T>(),
                                                  o.mutable_data<T>()));
  });
  return o;
}

namespace cpu {
namespace {

constexpr int64_t kQueries = 64, kKeys = 256;  // of a tile

/// Tokens of one chunk, counted from its start.
struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/// The keys of `keys` that a query of `queries` sees.
Span seen(Span keys, Span queries) { return {keys.begin, std::min(keys.end, queries.end)}; }

/// scores [queries, keys] = scale q k^T for rows of one chunk: q is the tile's first, k the chunk's.
template <class T>
void score_tile(const Relu2Shape& s, const T* q, const T* k, Span queries, Span keys, T* scores) {
  gemm<T>({.m = queries.size(), .n = keys.size(), .k = s.width, .transpose_b = true, .alpha = s.scale}, q,
          k + keys.begin * s.width, scores);
}

/// Keys of the tile that query t sees.
int64_t visible_keys(int64_t t, Span keys) { return std::clamp<int64_t>(t + 1 - keys.begin, 0, keys.size()); }

/// scores -> max(scores + bias, 0)^2, and 0 for later keys.
template <class T>
void square_positive(Span queries, Span keys, const T* bias, T* scores) {
  const int64_t n = keys.size();
  for (int64_t t = queries.begin; t < queries.end; ++t, scores += n) {
    const int64_t visible = visible_keys(t, keys);
    const T* row_bias = bias + t - keys.begin;
#pragma omp simd
    for (int64_t i = 0; i < visible; ++i) scores[i] = Relu2::value(scores[i] + row_bias[-i]);
    std::fill(scores + visible, scores + n, T(0));
  }
}

/// The same, and da -> the gradient of the scores, which adds up in dbias.
template <class T>
void square_positive_gradient(Span queries, Span keys, const T* bias, T* scores, T* da, T* dbias) {
  const int64_t n = keys.size();
  for (int64_t t = queries.begin; t < queries.end; ++t, scores += n, da += n) {
    const int64_t visible = visible_keys(t, keys);
    const T* row_bias = bias + t - keys.begin;
    T* row_dbias = dbias + t - keys.begin;
#pragma omp simd
    for (int64_t i = 0; i < visible; ++i) {
      const T x = scores[i] + row_bias[-i];
      scores[i] = Relu2::value(x);
      da[i] *= Relu2::derivative(x);
      row_dbias[-i] += da[i];
    }
    std::fill(scores + visible, scores + n, T(0));
    std::fill(da + visible, da + n, T(0));
  }
}

/// One chunk of a backward pass: its first rows.
template <class T>
struct ChunkGradient {
  const T *q, *k, *v, *bias, *dout;
  T *dq, *dk, *dv, *dbias;
};

/// Adds what `queries` give to the gradients through the keys of `keys`.
template <class T>
void backward_tile(const Relu2Shape& s, const ChunkGradient<T>& c, Span queries, Span keys, T* scratch) {
  const int64_t m = queries.size(), n = keys.size(), d = s.width, e = s.value_width;
  T *a = scratch, *dx = scratch + kQueries * kKeys;
  const T *q = c.q + queries.begin * d, *k = c.k + keys.begin * d, *dout = c.dout + queries.begin * e;
  score_tile(s, q, c.k, queries, keys, a);
  gemm<T>({.m = m, .n = n, .k = e, .transpose_b = true}, dout, c.v + keys.begin * e, dx);
  square_positive_gradient(queries, keys, c.bias, a, dx, c.dbias);
  gemm<T>({.m = n, .n = e, .k = m, .transpose_a = true, .beta = 1}, a, dout, c.dv + keys.begin * e);
  gemm<T>({.m = n, .n = d, .k = m, .transpose_a = true, .alpha = s.scale, .beta = 1}, dx, q,
          c.dk + keys.begin * d);
  gemm<T>({.m = m, .n = d, .k = n, .alpha = s.scale, .beta = 1}, dx, k, c.dq + queries.begin * d);
}

}  // namespace

template <class T>
void relu2_attention_forward(const Relu2Shape& s, const T* q, const T* k, const T* v, const T* bias, T* o) {
  const Scratch<T> scratch(kQueries * kKeys);
  const int64_t d = s.width, e = s.value_width;
  const int64_t chunks = chunk_count(s.grid), tiles = ceil_div(s.grid.chunk - s.past, kQueries);
  // By tiles, so that one long chunk keeps all threads busy too.
  parallel_jobs(s.chunks() * tiles, [&](int64_t job) {
    const Chunk chunk(s.grid, job / tiles / chunks, job / tiles % chunks);
    const int64_t in_q = chunk.in(s.grid.rows(d)), in_v = chunk.in(s.grid.rows(e));
    const int64_t row = job % tiles * kQueries, begin = s.past + row;
    if (begin >= chunk.tokens) return;
    const Span queries{begin, std::min(begin + kQueries, chunk.tokens)};
    T* scores = scratch.mine();
    for (int64_t key = 0; key < queries.end; key += kKeys) {
      const Span keys = seen({key, key + kKeys}, queries);
      score_tile(s, q + in_q + row * d, k + in_q, queries, keys, scores);
      square_positive(queries, keys, bias, scores);
      gemm<T>({.m = queries.size(), .n = e, .k = keys.size(), .beta = key > 0 ? 1.0 : 0.0}, scores,
              v + in_v + key * e, o + in_v + row * e);
    }
  });
}

template <class T>
void relu2_attention_backward(const Relu2Shape& s, const T* q, const T* k, const T* v, const T* bias,
                              const T* dout, T* dq, T* dk, T* dv, T* dbias) {
  const Scratch<T> scratch(2 * kQueries * kKeys);
  const int64_t d = s.width, e = s.value_width;
  for_each_chunk(s.grid, [&](const Chunk& chunk) {
    const int64_t in_q = chunk.in(s.grid.rows(d)), in_v = chunk.in(s.grid.rows(e));
    T* sums = dbias + (chunk.sequence * chunk_count(s.grid) + chunk.n) * s.grid.chunk;
    const ChunkGradient<T> c{q + in_q,  k + in_q,  v + in_v,  bias, dout + in_v,
                             dq + in_q, dk + in_q, dv + in_v, sums};
    std::fill(c.dq, c.dq + chunk.tokens * d, T(0));
    std::fill(c.dk, c.dk + chunk.tokens * d, T(0));
    std::fill(c.dv, c.dv + chunk.tokens * e, T(0));
    std::fill(sums, sums + s.grid.chunk, T(0));
    for (int64_t key = 0; key < chunk.tokens; key += kKeys) {
      for (int64_t t = key; t < chunk.tokens; t += kQueries) {
        const Span queries{t, std::min(t + kQueries, chunk.tokens)};
        backward_tile(s, c, queries, seen({key, key + kKeys}, queries), scratch.mine());
      }
    }
  });
}

template void relu2_attention_forward(const Relu2Shape&, const float*, const float*, const float*,
                                      const float*, float*);
template void relu2_attention_forward(const Relu2Shape&, const double*, const double*, const double*,
                                      const double*, double*);
template void relu2_attention_backward(const Relu2Shape&, const float*, const float*, const float*,
                                       const float*, const float*, float*, float*, float*, float*);
template void relu2_attention_backward(const Relu2Shape&, const double*, const double*, const double*,
                                       const double*, const double*, double*, double*, double*, double*);

}  // namespace cpu
}  // namespace tapestry
