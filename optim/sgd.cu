#include "optim/sgd.h"

#include "optim/pieces.cuh"

namespace tapestry::cuda {

template <class T>
void sgd_update(const SgdBlock<T>* blocks, size_t count, const double* gradient_scale) {
  for_elements("sgd_update", blocks, count, gradient_scale,
               [] __device__(const SgdBlock<T>& block, T scale, int64_t i) {
                 if (block.buffer) {
                   block.element(block.p[i], scale * block.g[i], block.buffer[i]);
                 } else {
                   block.element(block.p[i], scale * block.g[i]);
                 }
               });
}

#define INSTANTIATE(T) template void sgd_update(const SgdBlock<T>*, size_t, const double*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
