#include "autograd/ops/chunk_read.h"

#include "autograd/ops/chunk_parts.cuh"

namespace tapestry::cuda {
namespace {

/// den_t = the sum of row t of the scores, + scale q_t.z in chunks that read.
template <class T>
void denominators(const ChunkRead& s, const ChunkPart& part, const T* q, const T* sums, const T* scores,
                  T* den) {
  const int64_t n = part.tokens, d = s.d, chunks = s.grid.finished();
  const T scale = static_cast<T>(s.scale);
  for_each_row("chunk_read denominators", part.all() * n, n, [=] __device__(int64_t i) {
    const ChunkRow row(part, i);
    T sum = block_sum<T>(row.in_chunk + 1, [=](int64_t j) { return scores[i * n + j]; });
    if (row.chunk > 0) {
      const T *from = q + row.of_head * d, *z = sums + (row.head * chunks + row.chunk - 1) * d;
      sum += scale * block_sum<T>(d, [=](int64_t j) { return from[j] * z[j]; });
    }
    if (threadIdx.x == 0) den[row.of_head] = sum;
  });
}

/// What the denominators add to the gradient of the scores before it is used.
template <class T>
void add_to_products(const ChunkRead& s, const ChunkPart& part, const T* dden, T* products) {
  const int64_t n = part.tokens;
  const T scale = static_cast<T>(s.scale);
  for_each_index("chunk_read products", part.all() * n * n, [=] __device__(int64_t i) {
    const ChunkRow row(part, i / n);
    if (i % n <= row.in_chunk) products[i] += scale * dden[row.of_head];
  });
}

/// x_t += scale factor_t z, z [d] of the chunk `shift` before (factors null: 1).
template <class T>
void add_sums(const ChunkRead& s, const ChunkPart& part, double scale, const T* factors, const T* sums,
              int64_t shift, T* x) {
  const int64_t d = s.d, chunks = s.grid.finished();
  const T f = static_cast<T>(scale);
  for_each_index("chunk_read sums", part.all() * part.tokens * d, [=] __device__(int64_t i) {
    const ChunkRow row(part, i / d);
    const T factor = factors ? f * factors[row.of_head] : f;
    x[row.of_head * d + i % d] += factor * sums[(row.head * chunks + row.chunk - shift) * d + i % d];
  });
}

}  // namespace

template <class T>
void chunk_read_forward(const ChunkRead& s, const ChunkReadInput<T>& in, T* y, T* den) {
  for (const ChunkPart& part : chunk_parts(s.grid, s.grid.chunk * s.grid.chunk)) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* scores = memory.data();
    lower_products(part, s.d, s.scale, in.q, in.k, false, scores);
    times_rows(part, false, 1, scores, in.v, y, s.e, false);
    const ChunkPart readers = part.readers();
    add_states(readers, false, s.scale, in.q, s.d, in.states + readers.state_read(s.d * s.e), y, s.e);
    if (in.sums) denominators(s, part, in.q, in.sums, scores, den);
  }
}

template <class T>
void chunk_read_values(const ChunkRead& s, const T* q, const T* k, const T* dy, const T* dstates, T* dv) {
  for (const ChunkPart& part : chunk_parts(s.grid, s.grid.chunk * s.grid.chunk)) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* scores = memory.data();
    lower_products(part, s.d, s.scale, q, k, false, scores);
    times_rows(part, true, 1, scores, dy, dv, s.e, false);
    if (!dstates) continue;
    const ChunkPart writers = part.writers();
    add_states(writers, false, 1, k, s.d, dstates + writers.state_left(s.d * s.e), dv, s.e);
  }
}

template <class T>
void chunk_read_keys(const ChunkRead& s, const ChunkReadInput<T>& in, const ChunkReadGradient<T>& gradient,
                     T* dq, T* dk) {
  const int64_t size = s.d * s.e;
  for (const ChunkPart& part : chunk_parts(s.grid, s.grid.chunk * s.grid.chunk)) {
    DeviceArray<T> memory(part.all() * part.tokens * part.tokens);
    T* products = memory.data();
    lower_products(part, s.e, s.scale, gradient.dy, in.v, false, products);
    if (gradient.dden) add_to_products(s, part, gradient.dden, products);
    times_rows(part, false, 1, products, in.k, dq, s.d, false);
    times_rows(part, true, 1, products, in.q, dk, s.d, false);
    const ChunkPart readers = part.readers(), writers = part.writers();
    add_states(readers, true, s.scale, gradient.dy, s.e, in.states + readers.state_read(size), dq, s.d);
    add_states(writers, true, 1, in.v, s.e, gradient.dstates + writers.state_left(size), dk, s.d);
    if (!gradient.dden) continue;
    add_sums(s, readers, s.scale, gradient.dden, in.sums, 1, dq);
    add_sums<T>(s, writers, 1, nullptr, gradient.dsums, 0, dk);
  }
}

#define INSTANTIATE(T)                                                                                       \
  template void chunk_read_forward(const ChunkRead&, const ChunkReadInput<T>&, T*, T*);                      \
  template void chunk_read_values(const ChunkRead&, const T*, const T*, const T*, const T*, T*);             \
  template void chunk_read_keys(const ChunkRead&, const ChunkReadInput<T>&, const ChunkReadGradient<T>&, T*, \
                                T*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
