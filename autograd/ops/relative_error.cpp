#include "autograd/ops/relative_error.h"

#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {

Tensor relative_error(const Tensor& x, const Tensor& target) {
  require(x.shape() == target.shape() && x.dtype() == target.dtype(), "relative_error: x ", x.shape(),
          " against ", target.shape());
  double sums[2] = {0, 0};
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), error_sums<T>(x.data<T>(), target.data<T>(), sums, x.size()));
  });
  require(sums[1] > 0, "relative_error: the target is all zeros");
  Tensor error = Tensor::full({}, sums[0] / sums[1], x.dtype(), x.device());
  const double slope = 2 / sums[1];
  record("relative_error", {x}, error, {x, target}, [slope](BackwardStep& step) {
    const Tensor &saved_x = step.saved(0), &aim = step.saved(1);
    const double factor = slope * step.gradient().item();
    Destination dx = step.into(0);
    for_float(aim.dtype(), [&]<class T>(T) {
      LAUNCH(aim.device(), error_backward<T>(saved_x.data<T>(), aim.data<T>(), factor, dx.data<T>(),
                                             aim.size(), dx.accumulate));
    });
  });
  return error;
}

namespace cpu {

template <class T>
void error_sums(const T* x, const T* target, double* sums, int64_t n) {
  const auto found = parallel_sums(n, kPieceSize, 2, [=](int64_t begin, int64_t end, double* part) {
    double missed = 0, all = 0;
#pragma omp simd reduction(+ : missed, all)
    for (int64_t i = begin; i < end; ++i) {
      const double aim = target[i], difference = x[i] - aim;
      missed += difference * difference;
      all += aim * aim;
    }
    part[0] += missed;
    part[1] += all;
  });
  std::copy(found.begin(), found.end(), sums);
}

template <class T>
void error_backward(const T* x, const T* target, double factor, T* dx, int64_t n, bool accumulate) {
  const T slope = static_cast<T>(factor);
  parallel_for(n, kPieceSize, [=](int64_t begin, int64_t end) {
    write(dx, begin, end, accumulate, [=](int64_t i) { return slope * (x[i] - target[i]); });
  });
}

}  // namespace cpu
}  // namespace tapestry
