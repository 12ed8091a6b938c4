#include "autograd/ops/linear_attention.h"

#include <algorithm>

#include "autograd/ops/chunk_read.h"
#include "autograd/ops/cumsum.h"
#include "autograd/ops/divide_heads.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

ChunkRead read_of(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttention& options) {
  require(q.rank() == 3 && q.dim(1) >= 1 && k.shape() == q.shape() && v.rank() == 3 && v.dim(0) == q.dim(0) &&
              v.dim(1) == q.dim(1),
          "linear_attention: q ", q.shape(), ", k ", k.shape(), " and v ", v.shape());
  require(k.dtype() == q.dtype() && v.dtype() == q.dtype(), "linear_attention: q is ", name_of(q.dtype()),
          ", k ", name_of(k.dtype()), ", v ", name_of(v.dtype()));
  const int64_t n_head = options.n_head;
  require(n_head >= 1 && q.dim(2) % n_head == 0 && v.dim(2) % n_head == 0 && options.chunk >= 1,
          "linear_attention: ", n_head, " heads and chunks of ", options.chunk, " for q ", q.shape(),
          " and v ", v.shape());
  const ChunkGrid grid{q.dim(0), q.dim(1), n_head, std::min(options.chunk, q.dim(1))};
  return {grid, q.dim(2) / n_head, v.dim(2) / n_head, options.normalise ? 1 : options.scale};
}

/// [B, H, N, ...] -> running sums along the chunks, in place.
template <class T>
void sum_chunks(const ChunkGrid& grid, Tensor& x, bool reverse) {
  if (x.size() == 0) return;
  const int64_t heads = grid.batch * grid.n_head, count = grid.finished();
  T* data = x.mutable_data<T>();
  LAUNCH(x.device(), cumsum<T>(data, data, heads, count, x.size() / (heads * count), reverse));
}

/// The state before each chunk that reads: the sums of k^T v over the tokens before it, [B, H, N, d, e].
template <class T>
Tensor states_before(const ChunkRead& s, const Tensor& k, const Tensor& v) {
  const ChunkGrid& grid = s.grid;
  Tensor states = Tensor::empty({grid.batch, grid.n_head, grid.finished(), s.d, s.e}, k.dtype(), k.device());
  LAUNCH(k.device(),
         gemm<T>(grid.state_product(s.d, s.e, 1), k.data<T>(), v.data<T>(), states.mutable_data<T>()));
  sum_chunks<T>(grid, states, false);
  return states;
}

/// The same with ones for v, one row of them for all chunks: [B, H, N, d].
template <class T>
Tensor sums_before(const ChunkRead& s, const Tensor& k) {
  const ChunkGrid& grid = s.grid;
  Tensor sums = Tensor::empty({grid.batch, grid.n_head, grid.finished(), s.d}, k.dtype(), k.device());
  const Tensor ones = Tensor::full({grid.chunk}, 1, k.dtype(), k.device());
  Gemm product = grid.state_product(s.d, 1, 1);
  product.ldb = 1;
  for (Gemm::Batch& batch : product.batch) batch.b = 0;
  LAUNCH(k.device(), gemm<T>(product, k.data<T>(), ones.data<T>(), sums.mutable_data<T>()));
  sum_chunks<T>(grid, sums, false);
  return sums;
}

/// The gradient of the state after each finished chunk, what all later tokens read of it: [B, H, N, d, e].
template <class T>
Tensor states_gradient(const ChunkRead& s, int64_t e, const Tensor& q, const Tensor& dy) {
  const ChunkGrid& grid = s.grid;
  Tensor states = Tensor::empty({grid.batch, grid.n_head, grid.finished(), s.d, e}, q.dtype(), q.device());
  read_gradient(grid, q.device(), s.d, e, s.scale, q.data<T>(), dy.data<T>(), states.mutable_data<T>(),
                false);
  sum_chunks<T>(grid, states, true);
  return states;
}

template <class T>
const T* data_of(const Tensor& x) {
  return x.defined() ? x.data<T>() : nullptr;
}

/// The gradients of numerators and denominators of o = num / (den + eps).
template <class T>
void divide_backward(const Tensor& o, const Tensor& den, const Tensor& dout, double eps, Tensor& dnum,
                     Tensor& dden) {
  const int64_t pieces = den.size(), width = o.size() / pieces;
  dnum = Tensor::empty_like(o);
  dden = Tensor::empty_like(den);
  LAUNCH(o.device(),
         divide_heads(dout.data<T>(), den.data<T>(), dnum.mutable_data<T>(), pieces, width, eps, false));
  LAUNCH(o.device(), divide_heads_denominator(o.data<T>(), den.data<T>(), dout.data<T>(),
                                              dden.mutable_data<T>(), pieces, width, eps, false));
}

template <class T>
void backward(BackwardStep& step, const ChunkRead& s, double eps) {
  const Tensor &q = step.saved(0), &k = step.saved(1), &v = step.saved(2), &states = step.saved(3),
               &sums = step.saved(4), &o = step.saved(5), &den = step.saved(6);
  Tensor dy = step.gradient(), dden, dsums;
  if (den.defined()) {
    divide_backward<T>(o, den, step.gradient(), eps, dy, dden);
    dsums = states_gradient<T>(s, 1, q, dden);
  }
  const Tensor dstates = states_gradient<T>(s, s.e, q, dy);
  // Buffers of its own for each gradient: two inputs may be the same tensor.
  Tensor dq = Tensor::empty_like(q), dk = Tensor::empty_like(k), dv = Tensor::empty_like(v);
  const ChunkReadInput<T> in{q.data<T>(), k.data<T>(), v.data<T>(), states.data<T>(), data_of<T>(sums)};
  const ChunkReadGradient<T> gradient{dy.data<T>(), dstates.data<T>(), data_of<T>(dden), data_of<T>(dsums)};
  LAUNCH(q.device(),
         chunk_read_values<T>(s, in.q, in.k, gradient.dy, gradient.dstates, dv.mutable_data<T>()));
  LAUNCH(q.device(), chunk_read_keys<T>(s, in, gradient, dq.mutable_data<T>(), dk.mutable_data<T>()));
  if (step.needs(0)) step.add(0, std::move(dq));
  if (step.needs(1)) step.add(1, std::move(dk));
  if (step.needs(2)) step.add(2, std::move(dv));
}

}  // namespace

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttention& options) {
  const ChunkRead s = read_of(q, k, v, options);
  const double eps = options.eps;
  Tensor y = Tensor::empty_like(v), states, sums, den;
  for_float(q.dtype(), [&]<class T>(T) {
    states = states_before<T>(s, k, v);
    if (options.normalise) {
      sums = sums_before<T>(s, k);
      den = Tensor::empty({s.grid.batch, s.grid.tokens, s.grid.n_head}, q.dtype(), q.device());
    }
    const ChunkReadInput<T> in{q.data<T>(), k.data<T>(), v.data<T>(), states.data<T>(), data_of<T>(sums)};
    T *num = y.mutable_data<T>(), *sum = den.defined() ? den.mutable_data<T>() : nullptr;
    LAUNCH(q.device(), chunk_read_forward<T>(s, in, num, sum));
    if (sum) LAUNCH(q.device(), divide_heads<T>(num, sum, num, den.size(), s.e, eps, false));
  });
  const Tensor o = options.normalise ? y : Tensor();
  record("linear_attention", {q, k, v}, y, {q, k, v, states, sums, o, den}, [s, eps](BackwardStep& step) {
    for_float(step.gradient().dtype(), [&]<class T>(T) { backward<T>(step, s, eps); });
  });
  return y;
}

}  // namespace tapestry
