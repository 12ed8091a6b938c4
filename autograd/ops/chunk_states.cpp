#include "autograd/ops/chunk_states.h"

#include "autograd/ops/chunks.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

/// dx = scale y dF^T or scale y dF in the tokens of the finished chunks, zero after them.
template <class T>
void rows_gradient(const ChunkGrid& grid, Gemm product, const Tensor& y, const Tensor& states,
                   Destination dx) {
  const int64_t width = dx.tensor.dim(-1), in_chunks = grid.finished() * grid.chunk;
  product.lda = y.dim(-1);
  product.ldc = width;
  product.beta = dx.beta();
  product.batch = grid.over(grid.finished(), grid.rows(product.lda), grid.states(product.n * product.k),
                            grid.rows(width));
  LAUNCH(y.device(), gemm<T>(product, y.data<T>(), states.data<T>(), dx.data<T>()));
  if (dx.accumulate) return;
  LAUNCH(y.device(), zero_rows<T>(dx.data<T>(), grid.batch, grid.tokens, width, in_chunks, grid.tokens));
}

}  // namespace

Tensor chunk_states(const Tensor& k, const Tensor& v, int64_t n_head, int64_t chunk, double scale) {
  require(k.rank() == 3 && v.rank() == 3 && k.dim(0) == v.dim(0) && k.dim(1) == v.dim(1) && n_head >= 1 &&
              k.dim(2) % n_head == 0 && v.dim(2) % n_head == 0,
          "chunk_states: k ", k.shape(), " against v ", v.shape(), " with ", n_head, " heads");
  require(chunk >= 1 && k.dim(1) > chunk, "chunk_states: ", k.dim(1), " tokens finish no chunk of ", chunk);
  const ChunkGrid grid{k.dim(0), k.dim(1), n_head, chunk};
  const int64_t d = k.dim(2) / n_head, e = v.dim(2) / n_head;
  Tensor states = Tensor::empty({grid.batch, n_head, grid.finished(), d, e}, k.dtype(), k.device());
  const Gemm product = grid.state_product(d, e, scale);
  for_float(k.dtype(), [&]<class T>(T) {
    LAUNCH(k.device(), gemm<T>(product, k.data<T>(), v.data<T>(), states.mutable_data<T>()));
  });
  record("chunk_states", {k, v}, states, {k, v}, [grid, d, e, scale](BackwardStep& step) {
    const Tensor &k = step.saved(0), &v = step.saved(1), &states = step.gradient();
    for_float(k.dtype(), [&]<class T>(T) {
      const Gemm dk{.m = grid.chunk, .n = d, .k = e, .transpose_b = true, .alpha = scale};
      if (step.needs(0)) rows_gradient<T>(grid, dk, v, states, step.into(0));
      const Gemm dv{.m = grid.chunk, .n = e, .k = d, .alpha = scale};
      if (step.needs(1)) rows_gradient<T>(grid, dv, k, states, step.into(1));
    });
  });
  return states;
}

}  // namespace tapestry
