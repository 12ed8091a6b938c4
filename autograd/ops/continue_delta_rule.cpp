#include "autograd/ops/continue_delta_rule.h"

#include "autograd/ops/delta_rule.h"
#include "autograd/ops/running_state.h"

namespace tapestry {

Tensor continue_delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta,
                           double scale, Tensor& state) {
  require(state.rank() == 3 && q.rank() == 3 && q.dim(0) == 1 && k.shape() == q.shape() &&
              beta.shape() == q.shape().with_last(state.dim(0)),
          "continue_delta_rule: q ", q.shape(), ", k ", k.shape(), ", beta ", beta.shape(), " and a state ",
          state.shape());
  const int64_t tokens = q.dim(1);
  const ChunkRead chunk{{1, tokens, state.dim(0), tokens}, state.dim(1), state.dim(2), scale};
  Tensor w = Tensor::empty_like(k), delta = Tensor::empty_like(v), y = Tensor::empty_like(v);
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), delta_transitions<T>(chunk, k.data<T>(), v.data<T>(), beta.data<T>(),
                                            w.mutable_data<T>(), delta.mutable_data<T>()));
    add_state_read(w, state, -1, delta);
    const ChunkReadInput<T> in{q.data<T>(), k.data<T>(), delta.data<T>(), nullptr};
    LAUNCH(q.device(), chunk_read_forward<T>(chunk, in, y.mutable_data<T>(), nullptr));
  });
  add_state_read(q, state, scale, y);
  add_to_state(k, delta, 1, state);
  return y;
}

}  // namespace tapestry
