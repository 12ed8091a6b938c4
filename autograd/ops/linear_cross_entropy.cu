#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"
#include "autograd/math.h"
#include "autograd/ops/linear_cross_entropy.h"

namespace tapestry::cuda {
namespace {

/// The NLL of each row; turns its logits into unit (softmax - one at the target) if `gradient`.
template <class T>
void softmax_rows(T* logits, const int32_t* targets, double* nll, int64_t rows, int64_t v, bool gradient,
                  double unit) {
  for_each_block("cross_entropy", rows, row_threads(v), 0, [=] __device__(int64_t r) {
    T* row = logits + r * v;
    const int32_t target = targets[r];
    if (target < 0) {
      if (threadIdx.x == 0) nll[r] = 0;
      if (gradient) block_for(v, [=](int64_t i) { row[i] = 0; });
      return;
    }
    const T largest = block_reduce_row(
        v, -std::numeric_limits<T>::infinity(), [=](int64_t i) { return row[i]; }, Max{});
    const double sum = block_sum<double>(v, [=](int64_t i) { return double(fast_exp(row[i] - largest)); });
    if (threadIdx.x == 0) nll[r] = std::log(sum) - double(row[target] - largest);
    if (!gradient) return;
    __syncthreads();  // the logit of the target has been read
    const T factor = static_cast<T>(unit / sum);
    block_for(v, [=](int64_t i) {
      row[i] = factor * fast_exp(row[i] - largest) - (i == target ? static_cast<T>(unit) : T(0));
    });
  });
}

}  // namespace

template <class T>
void cross_entropy(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                   int64_t rows, int64_t c, int64_t v) {
  const int64_t block = cpu::logit_rows<T>(rows, v);
  DeviceArray<T> memory(block * v);
  T* logits = memory.data();
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const T* x_block = x + first * c;
    gemm<T>({.m = count, .n = v, .k = c, .transpose_b = true}, x_block, w, logits);
    softmax_rows(logits, targets + first, nll + first, count, v, dx != nullptr || dw != nullptr, unit);
    if (dx != nullptr) gemm<T>({.m = count, .n = c, .k = v}, logits, w, dx + first * c);
    if (dw != nullptr) {
      const Gemm product{.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0};
      gemm<T>(product, logits, x_block, dw);
    }
  }
}

#define INSTANTIATE(T)                                                                                       \
  template void cross_entropy(const T*, const T*, const int32_t*, double*, T*, T*, double, int64_t, int64_t, \
                              int64_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
