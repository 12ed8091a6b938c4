#include "autograd/ops/running_state.h"

#include "autograd/gemm.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

void check_shapes(const Tensor& keys, const Tensor& values, const Tensor& state) {
  require(state.rank() == 3 && keys.rank() == 3 && values.rank() == 3 && keys.dim(0) == 1 &&
              values.dim(0) == 1 && keys.dim(1) == values.dim(1) &&
              keys.dim(2) == state.dim(0) * state.dim(1) && values.dim(2) == state.dim(0) * state.dim(2),
          "a state ", state.shape(), " for keys ", keys.shape(), " and values ", values.shape());
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

void add_state_read(const Tensor& q, const Tensor& state, double scale, Tensor& y) {
  check_shapes(q, y, state);
  const int64_t heads = state.dim(0), d = state.dim(1), e = state.dim(2);
  Gemm product{.m = q.dim(1), .n = e, .k = d, .alpha = scale, .beta = 1, .lda = heads * d};
  product.ldc = heads * e;
  product.batch[0] = {heads, d, d * e, e};
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), gemm<T>(product, q.data<T>(), state.data<T>(), y.mutable_data<T>()));
  });
}

Tensor states_of_chunks(const Tensor& k, const Tensor& v, int64_t n_head, int64_t chunk, double scale) {
  const int64_t keys = k.dim(2), values = v.dim(2), d = keys / n_head, e = values / n_head;
  const int64_t chunks = k.dim(1) / chunk;
  require(k.dim(0) == 1 && v.dim(0) == 1 && k.dim(1) == v.dim(1), "states of keys ", k.shape(),
          " and values ", v.shape());
  Tensor states = Tensor::empty({chunks, n_head * d * e}, k.dtype(), k.device());
  Gemm product{.m = d, .n = e, .k = chunk, .transpose_a = true, .alpha = scale, .lda = keys, .ldb = values};
  product.batch[0] = {chunks, chunk * keys, chunk * values, n_head * d * e};
  product.batch[1] = {n_head, d, e, d * e};
  for_float(k.dtype(), [&]<class T>(T) {
    LAUNCH(k.device(), gemm<T>(product, k.data<T>(), v.data<T>(), states.mutable_data<T>()));
  });
  return states;
}

Tensor read_by_chunk(const Tensor& q, const Tensor& states, int64_t n_head, int64_t chunk, double scale) {
  const int64_t tokens = q.dim(1), keys = q.dim(2), d = keys / n_head, row = states.dim(1);
  const int64_t e = row / keys, values = n_head * e, whole = tokens / chunk, rest = tokens % chunk;
  require(q.dim(0) == 1 && states.dim(0) >= ceil_div(tokens, chunk) && row == keys * e, "queries ", q.shape(),
          " of states ", states.shape(), " with ", n_head, " heads and chunks of ", chunk);
  Tensor y = Tensor::empty({1, tokens, values}, q.dtype(), q.device());
  Gemm product{.m = chunk, .n = e, .k = d, .alpha = scale, .lda = keys, .ldc = values};
  product.batch[0] = {whole, chunk * keys, row, chunk * values};
  product.batch[1] = {n_head, d, d * e, e};
  Gemm last = product;
  last.m = rest;
  last.batch[0].count = 1;
  for_float(q.dtype(), [&]<class T>(T) {
    const T *from = q.data<T>(), *state = states.data<T>();
    T* to = y.mutable_data<T>();
    if (whole > 0) LAUNCH(q.device(), gemm<T>(product, from, state, to));
    const int64_t first = whole * chunk;
    if (rest > 0)
      LAUNCH(q.device(), gemm<T>(last, from + first * keys, state + whole * row, to + first * values));
  });
  return y;
}

}  // namespace tapestry
