#include "optim/adamw.h"

#include "optim/pieces.cuh"

namespace tapestry::cuda {

template <class T>
void adamw_update(const AdamWBlock<T>* blocks, size_t count, const double* gradient_scale) {
  for_elements("adamw_update", blocks, count, gradient_scale,
               [] __device__(const AdamWBlock<T>& block, T scale, int64_t i) {
                 block.element(block.p[i], scale * block.g[i], block.m[i], block.v[i]);
               });
}

#define INSTANTIATE(T) template void adamw_update(const AdamWBlock<T>*, size_t, const double*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
