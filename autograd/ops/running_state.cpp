#include "autograd/ops/running_state.h"

#include "autograd/gemm.h"

namespace tapestry {
namespace {

void check_shapes(const Tensor& keys, const Tensor& values, const Tensor& state) {
  require(state.rank() == 3 && keys.rank() == 3 && values.rank() == 3 && keys.dim(0) == 1 &&
              values.dim(0) == 1 && keys.dim(1) == values.dim(1) &&
              keys.dim(2) == state.dim(0) * state.dim(1) && values.dim(2) == state.dim(0) * state.dim(2),
          "a state ", state.shape(), " for keys ", keys.shape(), " and values ", values.shape());
}

void read(const Tensor& q, const Tensor& state, double scale, double beta, Tensor& y) {
  check_shapes(q, y, state);
  const int64_t heads = state.dim(0), d = state.dim(1), e = state.dim(2);
  Gemm product{.m = q.dim(1), .n = e, .k = d, .alpha = scale, .beta = beta, .lda = heads * d};
  product.ldc = heads * e;
  product.batch[0] = {heads, d, d * e, e};
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), gemm<T>(product, q.data<T>(), state.data<T>(), y.mutable_data<T>()));
  });
}

}  // namespace

void add_to_state(const Tensor& k, const Tensor& v, double scale, Tensor& state) {
  check_shapes(k, v, state);
  const int64_t heads = state.dim(0), d = state.dim(1), e = state.dim(2);
  Gemm product{.m = d, .n = e, .k = k.dim(1), .transpose_a = true, .alpha = scale, .beta = 1};
  product.lda = heads * d;
  product.ldb = heads * e;
  product.batch[0] = {heads, d, e, d * e};
  for_float(k.dtype(), [&]<class T>(T) {
    LAUNCH(k.device(), gemm<T>(product, k.data<T>(), v.data<T>(), state.mutable_data<T>()));
  });
}

Tensor read_state(const Tensor& q, const Tensor& state, double scale) {
  Tensor y = Tensor::empty({1, q.dim(1), state.dim(0) * state.dim(2)}, q.dtype(), q.device());
  read(q, state, scale, 0, y);
  return y;
}

void add_state_read(const Tensor& q, const Tensor& state, double scale, Tensor& y) {
  read(q, state, scale, 1, y);
}

}  // namespace tapestry
