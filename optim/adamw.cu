#include "optim/adamw.h"

#include "optim/pieces.cuh"

namespace tapestry::cuda {

template <class T>
void adamw_update(const AdamWBlock<T>* blocks, size_t count) {
  for_elements("adamw_update", blocks, count, [] __device__(const AdamWBlock<T>& block, int64_t i) {
    block.element(block.p[i], block.g[i], block.m[i], block.v[i]);
  });
}

#define INSTANTIATE(T) template void adamw_update(const AdamWBlock<T>*, size_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
