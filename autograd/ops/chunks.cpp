#include "autograd/ops/chunks.h"

#include <algorithm>

#include "base/parallel.h"

namespace tapestry {

std::array<ChunkReaders, 2> chunk_readers(const ChunkGrid& grid) {
  if (grid.finished() == 0) return {};
  const int64_t full = grid.tokens / grid.chunk - 1;
  return {ChunkReaders{0, full, grid.chunk},
          ChunkReaders{full, grid.finished() - full, grid.tokens % grid.chunk}};
}

template <class T>
void read_gradient(const ChunkGrid& grid, Device device, int64_t d, int64_t e, double scale, const T* q,
                   const T* dy, T* dstates, bool accumulate) {
  Gemm product = grid.state_product(d, e, scale);
  product.beta = accumulate;
  for (const auto& [first, chunks, tokens] : chunk_readers(grid)) {
    const int64_t start = (first + 1) * grid.chunk;
    product.k = tokens;
    product.batch[2].count = chunks;
    LAUNCH(device,
           gemm<T>(product, q + start * product.lda, dy + start * product.ldb, dstates + first * d * e));
  }
}

template void read_gradient(const ChunkGrid&, Device, int64_t, int64_t, double, const float*, const float*,
                            float*, bool);
template void read_gradient(const ChunkGrid&, Device, int64_t, int64_t, double, const double*, const double*,
                            double*, bool);

namespace cpu {

template <class T>
void zero_rows(T* x, int64_t matrices, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  parallel_for(matrices * count, 64, [=](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      T* row = x + (i / count * rows + begin + i % count) * width;
      std::fill(row, row + width, T(0));
    }
  });
}

template void zero_rows(float*, int64_t, int64_t, int64_t, int64_t, int64_t);
template void zero_rows(double*, int64_t, int64_t, int64_t, int64_t, int64_t);

}  // namespace cpu
}  // namespace tapestry
