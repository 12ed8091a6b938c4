#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"
#include "autograd/ops/distilled_row.h"
#include "autograd/ops/linear_cross_entropy.h"

namespace tapestry::cuda {
namespace {

/// Called by all threads of a block.
template <class T>
__device__ SoftmaxRow<T> softmax_row(const T* z, int64_t n, double sharpness) {
  SoftmaxRow<T> row{z, T(0), static_cast<T>(sharpness), 0};
  row.largest = block_reduce_row(
      n, -std::numeric_limits<T>::infinity(), [=](int64_t i) { return z[i]; }, Max{});
  row.sum = block_sum<double>(n, [=](int64_t i) { return double(row.weight(i)); });
  return row;
}

/// The losses of each row; with `gradient`, the student's logits become the gradient of `unit` times their
/// mix.
template <class T>
void distill_rows(T* student, const T* teacher, const int32_t* targets, double* nll, double* kl, int64_t rows,
                  int64_t v, bool gradient, double unit, DistillationOptions options) {
  for_each_block("distillation", rows, row_threads(v), 0, [=] __device__(int64_t r) {
    T* ours = student + r * v;
    const int32_t target = targets[r];
    if (target < 0) {
      if (threadIdx.x == 0) nll[r] = kl[r] = 0;
      if (gradient) block_for(v, [=](int64_t i) { ours[i] = 0; });
      return;
    }
    const double sharpness = 1 / options.temperature;
    const DistilledRow<T> row{softmax_row<T>(ours, v, 1), softmax_row<T>(ours, v, sharpness),
                              softmax_row<T>(teacher + r * v, v, sharpness)};
    const double terms = block_sum<double>(v, [=](int64_t i) { return double(row.divergence_term(i)); });
    if (threadIdx.x == 0) {
      nll[r] = -row.plain.log(target);
      kl[r] = row.divergence(terms);
    }
    if (!gradient) return;
    __syncthreads();  // the logit of the target has been read
    const DistilledSlope<T> slope(row, unit, options);
    block_for(v, [=](int64_t i) { ours[i] = slope(i) - (i == target ? slope.target : T(0)); });
  });
}

}  // namespace

template <class T>
void distillation(const ProjectedRows<T>& student, const ProjectedRows<T>& teacher, const int32_t* targets,
                  double* nll, double* kl, T* dx, T* dw, double unit, const DistillationOptions& options,
                  int64_t rows, int64_t v) {
  const int64_t block = logit_rows<T>(Device::cuda(), rows, v), c = student.width;
  DeviceArray<T> memory(2 * block * v);
  T* ours = memory.data();
  T* theirs = ours + block * v;
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    for (const auto& [from, to] : {std::pair(&student, ours), std::pair(&teacher, theirs)}) {
      gemm<T>({.m = count, .n = v, .k = from->width, .transpose_b = true}, from->x + first * from->width,
              from->weight, to);
    }
    distill_rows(ours, theirs, targets + first, nll + first, kl + first, count, v,
                 dx != nullptr || dw != nullptr, unit, options);
    if (dx != nullptr) gemm<T>({.m = count, .n = c, .k = v}, ours, student.weight, dx + first * c);
    if (dw != nullptr) {
      const Gemm product{.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0};
      gemm<T>(product, ours, student.x + first * c, dw);
    }
  }
}

#define INSTANTIATE(T)                                                                                  \
  template void distillation(const ProjectedRows<T>&, const ProjectedRows<T>&, const int32_t*, double*, \
                             double*, T*, T*, double, const DistillationOptions&, int64_t, int64_t);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
