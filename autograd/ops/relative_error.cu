#include "autograd/ops/relative_error.h"

#include <vector>

#include "autograd/cuda/kernel.cuh"
#include "autograd/memory.h"

namespace tapestry::cuda {

template <class T>
void error_sums(const T* x, const T* target, double* sums, int64_t n) {
  constexpr int64_t piece = 1 << 14;
  const int64_t pieces = ceil_div(n, piece);
  DeviceArray<double> partial_array(2 * pieces);
  double* partial = partial_array.data();
  for_each_block("relative_error", pieces, kThreads, 0, [=] __device__(int64_t i) {
    const int64_t begin = i * piece, count = n - begin < piece ? n - begin : piece;
    const double missed = block_sum<double>(count, [=](int64_t at) {
      const double difference = double(x[begin + at]) - double(target[begin + at]);
      return difference * difference;
    });
    const double all = block_sum<double>(
        count, [=](int64_t at) { return double(target[begin + at]) * double(target[begin + at]); });
    if (threadIdx.x == 0) {
      partial[2 * i] = missed;
      partial[2 * i + 1] = all;
    }
  });
  std::vector<double> of_pieces(static_cast<size_t>(2 * pieces));
  copy_from_device(of_pieces.data(), partial, 2 * pieces * static_cast<int64_t>(sizeof(double)));
  sums[0] = sums[1] = 0;
  for (size_t i = 0; i < of_pieces.size(); ++i) sums[i % 2] += of_pieces[i];
}

template <class T>
void error_backward(const T* x, const T* target, double factor, T* dx, int64_t n, bool accumulate) {
  const T slope = static_cast<T>(factor);
  for_each_index("relative_error", n,
                 [=] __device__(int64_t i) { put(dx[i], slope * (x[i] - target[i]), accumulate); });
}

#define INSTANTIATE(T)                                            \
  template void error_sums(const T*, const T*, double*, int64_t); \
  template void error_backward(const T*, const T*, double, T*, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
