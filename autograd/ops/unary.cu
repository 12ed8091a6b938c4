#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/unary.h"

namespace tapestry::cuda {

template <class F, class T>
void unary_forward(const T* x, T* y, int64_t n) {
  for_each_index("unary_forward", n, [=] __device__(int64_t i) { y[i] = F::value(x[i]); });
}

template <class F, class T>
void unary_backward(const T* x, const T* dy, T* dx, int64_t n, bool accumulate) {
  for_each_index("unary_backward", n,
                 [=] __device__(int64_t i) { put(dx[i], dy[i] * F::derivative(x[i]), accumulate); });
}

#define INSTANTIATE_FOR(F, T)                            \
  template void unary_forward<F>(const T*, T*, int64_t); \
  template void unary_backward<F>(const T*, const T*, T*, int64_t, bool);
#define INSTANTIATE(T)          \
  INSTANTIATE_FOR(GeluTanh, T)  \
  INSTANTIATE_FOR(GeluExact, T) \
  INSTANTIATE_FOR(Silu, T)      \
  INSTANTIATE_FOR(Sigmoid, T)   \
  INSTANTIATE_FOR(Relu2, T)     \
  INSTANTIATE_FOR(Elu1, T)
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
