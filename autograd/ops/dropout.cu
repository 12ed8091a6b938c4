#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/dropout.h"
#include "autograd/random.h"

namespace tapestry::cuda {

template <class T>
void dropout(const T* x, T* y, int64_t n, double p, uint64_t key, bool accumulate) {
  const float threshold = static_cast<float>(p);
  const T factor = static_cast<T>(1 / (1 - p));
  for_each_index("dropout", n, [=] __device__(int64_t i) {
    put(y[i], random_uniform(key, i) >= threshold ? factor * x[i] : T(0), accumulate);
  });
}

#define INSTANTIATE(T) template void dropout(const T*, T*, int64_t, double, uint64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
