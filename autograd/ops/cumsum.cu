#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/cumsum.h"

namespace tapestry::cuda {

template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t count, int64_t inner, bool reverse) {
  const int64_t first = reverse ? count - 1 : 0, step = reverse ? -inner : inner;
  for_each_index("cumsum", outer * inner, [=] __device__(int64_t i) {
    int64_t at = (i / inner * count + first) * inner + i % inner;
    T sum = 0;
    for (int64_t n = 0; n < count; ++n, at += step) y[at] = sum += x[at];
  });
}

#define INSTANTIATE(T) template void cumsum(const T*, T*, int64_t, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
