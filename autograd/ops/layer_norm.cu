#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/layer_norm.h"

namespace tapestry::cuda {
namespace {

template <bool Centred, class T>
void input_gradient(const T* x, const T* gain, const T* stats, const T* dy, T* dx, bool accumulate,
                    NormSize size) {
  const int64_t n = size.n, gains = size.gains;
  for_each_row("norm_backward", size.rows, n, [=] __device__(int64_t row) {
    const T *from = x + row * n, *g = gain + row % gains * n, *d = dy + row * n;
    const T mean = stats[2 * row], root = stats[2 * row + 1];
    const T mean_g = Centred ? block_sum<T>(n, [=](int64_t i) { return d[i] * g[i]; }) / n : T(0);
    const T mean_gx = block_sum<T>(n, [=](int64_t i) { return d[i] * g[i] * ((from[i] - mean) * root); }) / n;
    block_for(n, [=](int64_t i) {
      put(dx[row * n + i], root * (d[i] * g[i] - mean_g - (from[i] - mean) * root * mean_gx), accumulate);
    });
  });
}

}  // namespace

template <bool Centred, class T>
void norm_forward(const T* x, const T* gain, const T* bias, T* y, T* stats, NormSize size, double eps) {
  const int64_t n = size.n, gains = size.gains;
  const T small = static_cast<T>(eps);
  for_each_row("norm_forward", size.rows, n, [=] __device__(int64_t row) {
    const T *from = x + row * n, *g = gain + row % gains * n;
    const T mean = Centred ? block_sum<T>(n, [=](int64_t i) { return from[i]; }) / n : T(0);
    const T squares = block_sum<T>(n, [=](int64_t i) { return (from[i] - mean) * (from[i] - mean); });
    const T root = 1 / std::sqrt(squares / n + small);
    if (threadIdx.x == 0) {
      stats[2 * row] = mean;
      stats[2 * row + 1] = root;
    }
    block_for(n, [=](int64_t i) {
      const T b = bias ? bias[row % gains * n + i] : T(0);
      y[row * n + i] = (from[i] - mean) * root * g[i] + b;
    });
  });
}

template <bool Centred, class T>
void norm_backward(const T* x, const T* gain, const T* stats, const T* dy, T* dx, bool accumulate, T* partial,
                   NormSize size) {
  if (dx != nullptr) input_gradient<Centred>(x, gain, stats, dy, dx, accumulate, size);
  const int64_t n = size.n, gains = size.gains, width = gains * n, rows = size.rows, blocks = size.blocks();
  for_each_index("norm_backward gain", blocks * width, [=] __device__(int64_t i) {
    const int64_t first = i / width * NormSize::block_rows, own = i % width / n, column = i % n;
    const int64_t end = first + NormSize::block_rows < rows ? first + NormSize::block_rows : rows;
    T dgain = 0, dbias = 0;
    for (int64_t row = first + (own + gains - first % gains) % gains; row < end; row += gains) {
      const T d = dy[row * n + column];
      dgain += d * ((x[row * n + column] - stats[2 * row]) * stats[2 * row + 1]);
      if (Centred) dbias += d;
    }
    partial[i] = dgain;
    partial[blocks * width + i] = dbias;
  });
}

#define INSTANTIATE_FOR(CENTRED, T)                                                            \
  template void norm_forward<CENTRED>(const T*, const T*, const T*, T*, T*, NormSize, double); \
  template void norm_backward<CENTRED>(const T*, const T*, const T*, const T*, T*, bool, T*, NormSize);
#define INSTANTIATE(T)     \
  INSTANTIATE_FOR(true, T) \
  INSTANTIATE_FOR(false, T)
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
