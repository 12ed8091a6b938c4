#include "autograd/cuda/biased_product.h"
#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"
#include "autograd/ops/linear.h"

namespace tapestry::cuda {

template <class T>
void linear_forward(const T* x, const T* w, const T* b, T* y, int64_t rows, int64_t k, int64_t n) {
  const Gemm product{.m = rows, .n = n, .k = k};
  b != nullptr ? biased_gemm(product, x, w, b, y) : gemm(product, x, w, y);
}

template <class T>
void column_sum(const T* dy, T* db, int64_t rows, int64_t n, bool accumulate) {
  sum_rows("column_sum", rows, n, db, accumulate, ElementOf<T>{dy});
}

#define INSTANTIATE(T)                                                                       \
  template void linear_forward(const T*, const T*, const T*, T*, int64_t, int64_t, int64_t); \
  template void column_sum(const T*, T*, int64_t, int64_t, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
