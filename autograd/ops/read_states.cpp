#include "autograd/ops/read_states.h"

#include "autograd/ops/chunks.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

/// u = scale q S (or q = scale u S^T): both operands' rows begin in chunk 1.
template <class T>
void read(const ChunkGrid& grid, Gemm product, const Tensor& q, const Tensor& states, Destination u) {
  const int64_t q_width = q.dim(-1), u_width = u.tensor.dim(-1), size = product.n * product.k;
  for (const auto& [first, chunks, tokens] : chunk_readers(grid)) {
    const int64_t start = (first + 1) * grid.chunk;
    product.m = tokens;
    product.lda = q_width;
    product.ldc = u_width;
    product.beta = u.beta();
    product.batch = grid.over(chunks, grid.rows(q_width), grid.states(size), grid.rows(u_width));
    LAUNCH(q.device(), gemm<T>(product, q.data<T>() + start * q_width, states.data<T>() + first * size,
                               u.data<T>() + start * u_width));
  }
  if (u.accumulate) return;
  LAUNCH(q.device(), zero_rows<T>(u.data<T>(), grid.batch, grid.tokens, u_width, 0, grid.chunk));
}

}  // namespace

Tensor read_states(const Tensor& q, const Tensor& states, int64_t chunk, double scale) {
  require(q.rank() == 3 && states.rank() == 5 && chunk >= 1 && q.dim(0) == states.dim(0) &&
              q.dim(2) == states.dim(1) * states.dim(3) &&
              finished_chunks(q.dim(1), chunk) == states.dim(2) && states.dim(2) >= 1,
          "read_states: q ", q.shape(), " against states ", states.shape(), " with chunks of ", chunk);
  const int64_t n_head = states.dim(1), d = states.dim(3), e = states.dim(4);
  const ChunkGrid grid{q.dim(0), q.dim(1), n_head, chunk};
  Tensor u = Tensor::empty({grid.batch, grid.tokens, n_head * e}, q.dtype(), q.device());
  for_float(q.dtype(), [&]<class T>(T) {
    read<T>(grid, {.n = e, .k = d, .alpha = scale}, q, states, {u, false});
  });
  record("read_states", {q, states}, u, {q, states}, [grid, d, e, scale](BackwardStep& step) {
    const Tensor &q = step.saved(0), &states = step.saved(1), &du = step.gradient();
    for_float(q.dtype(), [&]<class T>(T) {
      const Gemm dq{.n = d, .k = e, .transpose_b = true, .alpha = scale};
      if (step.needs(0)) read<T>(grid, dq, du, states, step.into(0));
      if (!step.needs(1)) return;
      Destination ds = step.into(1);
      read_gradient(grid, q.device(), d, e, scale, q.data<T>(), du.data<T>(), ds.data<T>(), ds.accumulate);
    });
  });
  return u;
}

}  // namespace tapestry
