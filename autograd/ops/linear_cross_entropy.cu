#include "autograd/cuda/operand.cuh"
#include "autograd/math.h"
#include "autograd/ops/linear_cross_entropy.h"

namespace tapestry::cuda {
namespace {

/// The NLL of each row, and unit (softmax - one at the target) unless `gradient` is null.
template <class In, class T>
void softmax_rows(const T* logits, const int32_t* targets, double* nll, In* gradient, int64_t rows, int64_t v,
                  double unit) {
  for_each_block("cross_entropy", rows, row_threads(v), 0, [=] __device__(int64_t r) {
    const T* row = logits + r * v;
    In* to = gradient + r * v;
    const int32_t target = targets[r];
    if (target < 0) {
      if (threadIdx.x == 0) nll[r] = 0;
      if (gradient) block_for(v, [=](int64_t i) { store(to[i], T(0)); });
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
      const T slope = factor * fast_exp(row[i] - largest);
      store(to[i], i == target ? slope - static_cast<T>(unit) : slope);
    });
  });
}

template <class In, class T>
void cross_entropy_of(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                      int64_t rows, int64_t c, int64_t v) {
  const int64_t block = logit_rows<T>(Device::cuda(), rows, v);
  const bool gradient = dx != nullptr || dw != nullptr;
  Operand<In, T> all_x(x, rows * c), weight(w, v * c);
  DeviceArray<T> logits(block * v);
  MadeOperand<In, T> slopes(logits.data(), gradient ? block * v : 0);
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const In* x_block = all_x.data() + first * c;
    gemm<In>({.m = count, .n = v, .k = c, .transpose_b = true}, x_block, weight.data(), logits.data());
    softmax_rows(logits.data(), targets + first, nll + first, gradient ? slopes.data() : nullptr, count, v,
                 unit);
    if (dx != nullptr) gemm<In>({.m = count, .n = c, .k = v}, slopes.data(), weight.data(), dx + first * c);
    if (dw != nullptr) {
      const Gemm product{.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0};
      gemm<In>(product, slopes.data(), x_block, dw);
    }
  }
}

}  // namespace

template <class T>
void cross_entropy(const T* x, const T* w, const int32_t* targets, double* nll, T* dx, T* dw, double unit,
                   int64_t rows, int64_t c, int64_t v) {
  for_operand_type<T>(
      [&]<class In>(In) { cross_entropy_of<In>(x, w, targets, nll, dx, dw, unit, rows, c, v); });
}

template <class T>
void mean_nll(const double* nll, int64_t n, int64_t counted, T* mean) {
  for_each_block("mean_nll", 1, kMaxThreads, 0, [=] __device__(int64_t) {
    const double sum = block_sum<double>(n, [=](int64_t i) { return nll[i]; });
    if (threadIdx.x == 0) *mean = static_cast<T>(sum / static_cast<double>(counted));
  });
}

template <class T>
void scale_by(const T* factor, T* x, int64_t n) {
  for_each_index("scale_by", n, [=] __device__(int64_t i) {
    if (*factor != T(1)) x[i] *= *factor;
  });
}

#define INSTANTIATE(T)                                                                                       \
  template void cross_entropy(const T*, const T*, const int32_t*, double*, T*, T*, double, int64_t, int64_t, \
                              int64_t);                                                                      \
  template void mean_nll(const double*, int64_t, int64_t, T*);                                               \
  template void scale_by(const T*, T*, int64_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
