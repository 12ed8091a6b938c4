#include "autograd/ops/delta_rule.h"

#include <algorithm>

#include "autograd/tape.h"

namespace tapestry {
namespace {

ChunkRead read_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta, int64_t n_head,
                  int64_t chunk, double scale) {
  require(q.rank() == 3 && q.dim(1) >= 1 && k.shape() == q.shape() && v.rank() == 3 && v.dim(0) == q.dim(0) &&
              v.dim(1) == q.dim(1),
          "delta_rule: q ", q.shape(), ", k ", k.shape(), " and v ", v.shape());
  require(n_head >= 1 && q.dim(2) % n_head == 0 && v.dim(2) % n_head == 0 && chunk >= 1 &&
              beta.shape() == q.shape().with_last(n_head),
          "delta_rule: ", n_head, " heads and chunks of ", chunk, " for q ", q.shape(), ", v ", v.shape(),
          " and beta ", beta.shape());
  require(k.dtype() == q.dtype() && v.dtype() == q.dtype() && beta.dtype() == q.dtype(), "delta_rule: q is ",
          name_of(q.dtype()), ", k ", name_of(k.dtype()), ", v ", name_of(v.dtype()), ", beta ",
          name_of(beta.dtype()));
  const ChunkGrid grid{q.dim(0), q.dim(1), n_head, std::min(chunk, q.dim(1))};
  return {grid, q.dim(2) / n_head, v.dim(2) / n_head, scale};
}

Tensor empty_states(const ChunkRead& s, const Tensor& like) {
  return Tensor::empty({s.grid.batch, s.grid.n_head, s.grid.finished(), s.d, s.e}, like.dtype(),
                       like.device());
}

/// Section 4.3. The sums over chunks run in delta_scan_backward, everything else in all chunks side by side.
template <class T>
void backward(BackwardStep& step, const ChunkRead& s) {
  const Tensor &q = step.saved(0), &k = step.saved(1), &v = step.saved(2), &beta = step.saved(3),
               &delta = step.saved(4), &states = step.saved(5), &dout = step.gradient();
  const T *keys = k.data<T>(), *betas = beta.data<T>(), *dy = dout.data<T>();
  Tensor dv = Tensor::empty_like(v), dstates = empty_states(s, v);
  T *to_dv = dv.mutable_data<T>(), *to_dstates = dstates.mutable_data<T>();
  LAUNCH(q.device(), chunk_read_values<T>(s, q.data<T>(), keys, dy, nullptr, to_dv));
  read_gradient(s.grid, q.device(), s.d, s.e, s.scale, q.data<T>(), dy, to_dstates, false);
  {
    Tensor w = Tensor::empty_like(k);
    T* transitions = w.mutable_data<T>();
    LAUNCH(q.device(), delta_transitions<T>(s, keys, v.data<T>(), betas, transitions, nullptr));
    LAUNCH(q.device(), delta_scan_backward<T>(s, keys, transitions, to_dv, to_dstates));
  }
  Tensor dq = Tensor::empty_like(q), dk = Tensor::empty_like(k), dbeta = Tensor::empty_like(beta);
  T* to_dk = dk.mutable_data<T>();
  const ChunkReadInput<T> deltas{q.data<T>(), keys, delta.data<T>(), states.data<T>()};
  LAUNCH(q.device(), chunk_read_keys<T>(s, deltas, {dy, to_dstates}, dq.mutable_data<T>(), to_dk));
  const ChunkReadInput<T> in{q.data<T>(), keys, v.data<T>(), states.data<T>()};
  LAUNCH(q.device(), delta_backward<T>(s, in, betas, delta.data<T>(), to_dk, to_dv, dbeta.mutable_data<T>()));
  Tensor gradients[] = {dq, dk, dv, dbeta};
  for (size_t i = 0; i < 4; ++i) {
    if (step.needs(i)) step.add(i, std::move(gradients[i]));
  }
}

}  // namespace

Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta, int64_t n_head,
                  int64_t chunk, double scale) {
  const ChunkRead s = read_of(q, k, v, beta, n_head, chunk, scale);
  Tensor y = Tensor::empty_like(v), delta = Tensor::empty_like(v), states = empty_states(s, v);
  for_float(q.dtype(), [&]<class T>(T) {
    Tensor w = Tensor::empty_like(k);
    T *transitions = w.mutable_data<T>(), *deltas = delta.mutable_data<T>(), *to = states.mutable_data<T>();
    LAUNCH(q.device(),
           delta_transitions<T>(s, k.data<T>(), v.data<T>(), beta.data<T>(), transitions, deltas));
    LAUNCH(q.device(), delta_scan<T>(s, k.data<T>(), transitions, deltas, to));
    const ChunkReadInput<T> in{q.data<T>(), k.data<T>(), deltas, to};
    LAUNCH(q.device(), chunk_read_forward<T>(s, in, y.mutable_data<T>(), nullptr));
  });
  record("delta_rule", {q, k, v, beta}, y, {q, k, v, beta, delta, states}, [s](BackwardStep& step) {
    for_float(step.gradient().dtype(), [&]<class T>(T) { backward<T>(step, s); });
  });
  return y;
}

}  // namespace tapestry
