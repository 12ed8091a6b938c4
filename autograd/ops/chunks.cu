#include "autograd/ops/chunks.h"

#include "autograd/cuda/kernel.cuh"

namespace tapestry::cuda {

template <class T>
void zero_rows(T* x, int64_t matrices, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  const int64_t size = (end - begin) * width;
  for_each_index("zero_rows", matrices * size,
                 [=] __device__(int64_t i) { x[(i / size * rows + begin) * width + i % size] = 0; });
}

#define INSTANTIATE(T) template void zero_rows(T*, int64_t, int64_t, int64_t, int64_t, int64_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
