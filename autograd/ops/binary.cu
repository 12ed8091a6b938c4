#include "autograd/cuda/kernel.cuh"
#include "autograd/math.h"
#include "autograd/ops/binary.h"

namespace tapestry::cuda {

template <class Op, class T>
void binary_forward(const T* a, const T* b, T* y, int64_t rows, int64_t n) {
  for_each_index("binary_forward", rows * n, [=] __device__(int64_t i) { y[i] = Op::value(a[i], b[i % n]); });
}

template <class T>
void add_backward(const T* dy, double factor, T* db, int64_t rows, int64_t n, bool accumulate) {
  const T f = static_cast<T>(factor);
  sum_rows("add_backward", rows, n, db, accumulate, [=] __device__(int64_t i) { return f * dy[i]; });
}

template <class T>
void mul_backward_a(const T* dy, const T* b, T* da, int64_t rows, int64_t n, bool accumulate) {
  for_each_index("mul_backward_a", rows * n,
                 [=] __device__(int64_t i) { put(da[i], dy[i] * b[i % n], accumulate); });
}

template <class T>
void mul_backward_b(const T* dy, const T* a, T* db, int64_t rows, int64_t n, bool accumulate) {
  sum_rows("mul_backward_b", rows, n, db, accumulate, [=] __device__(int64_t i) { return dy[i] * a[i]; });
}

template <class T>
void scale(const T* x, double factor, T* y, int64_t n, bool accumulate) {
  const T f = static_cast<T>(factor);
  for_each_index("scale", n, [=] __device__(int64_t i) { put(y[i], f * x[i], accumulate); });
}

#define INSTANTIATE(T)                                                          \
  template void binary_forward<Add>(const T*, const T*, T*, int64_t, int64_t);  \
  template void binary_forward<Sub>(const T*, const T*, T*, int64_t, int64_t);  \
  template void binary_forward<Mul>(const T*, const T*, T*, int64_t, int64_t);  \
  template void add_backward(const T*, double, T*, int64_t, int64_t, bool);     \
  template void mul_backward_a(const T*, const T*, T*, int64_t, int64_t, bool); \
  template void mul_backward_b(const T*, const T*, T*, int64_t, int64_t, bool); \
  template void scale(const T*, double, T*, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
