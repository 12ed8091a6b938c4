#include "autograd/ops/rms_norm.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {

Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps) {
  require(x.rank() >= 1 && (gain.rank() == 1 || gain.rank() == 2) && x.dim(-1) % gain.size() == 0,
          "rms_norm: x ", x.shape(), " against gain ", gain.shape());
  const int64_t width = gain.dim(-1);
  const Pieces pieces{x.size() / width, width, gain.size() / width};
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), rms_norm_forward<T>(pieces, eps, x.data<T>(), gain.data<T>(), y.mutable_data<T>()));
  });
  record("rms_norm", {x, gain}, y, {x, gain}, [pieces, eps](BackwardStep& step) {
    const Tensor &x = step.saved(0), &gain = step.saved(1), &dy = step.gradient();
    for_float(x.dtype(), [&]<class T>(T) {
      if (step.needs(0)) {
        Destination dx = step.into(0);
        LAUNCH(x.device(), rms_norm_backward<T>(pieces, eps, x.data<T>(), gain.data<T>(), dy.data<T>(),
                                                dx.data<T>(), dx.accumulate));
      }
      if (step.needs(1)) {
        Destination dgain = step.into(1);
        LAUNCH(x.device(),
               rms_norm_gain<T>(pieces, eps, x.data<T>(), dy.data<T>(), dgain.data<T>(), dgain.accumulate));
      }
    });
  });
  return y;
}

namespace cpu {
namespace {

constexpr int64_t kGrain = 256;  // pieces

/// r = 1 / sqrt(mean(z^2) + eps)
template <class T>
T inverse_rms(const T* z, int64_t n, double eps) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += z[i] * z[i];
  return 1 / std::sqrt(sum / static_cast<T>(n) + static_cast<T>(eps));
}

}  // namespace

template <class T>
void rms_norm_forward(const Pieces& p, double eps, const T* x, const T* gain, T* y) {
  const int64_t n = p.width;
  parallel_for(p.count, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const T *z = x + piece * n, *g = gain + piece % p.gains * n;
      const T r = inverse_rms(z, n, eps);
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) y[piece * n + i] = z[i] * r * g[i];
    }
  });
}

template <class T>
void rms_norm_backward(const Pieces& p, double eps, const T* x, const T* gain, const T* dy, T* dx,
                       bool accumulate) {
  const int64_t n = p.width;
  parallel_for(p.count, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const T *z = x + piece * n, *g = gain + piece % p.gains * n, *d = dy + piece * n;
      T* out = dx + piece * n;
      const T r = inverse_rms(z, n, eps);
      T dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < n; ++i) dot += d[i] * g[i] * z[i];
      const T mean = dot * r * r / static_cast<T>(n);
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = (accumulate ? out[i] : T(0)) + r * (d[i] * g[i] - z[i] * mean);
    }
  });
}

template <class T>
void rms_norm_gain(const Pieces& p, double eps, const T* x, const T* dy, T* dgain, bool accumulate) {
  const int64_t n = p.width, size = p.gains * n;
  const std::vector<double> sums =
      parallel_sums(p.count, kGrain, size, [=](int64_t begin, int64_t end, double* sums) {
        for (int64_t piece = begin; piece < end; ++piece) {
          const T *z = x + piece * n, *d = dy + piece * n;
          double* sum = sums + piece % p.gains * n;
          const T r = inverse_rms(z, n, eps);
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) sum[i] += d[i] * z[i] * r;
        }
      });
  for (int64_t i = 0; i < size; ++i) dgain[i] = (accumulate ? dgain[i] : T(0)) + static_cast<T>(sums[i]);
}

template void rms_norm_forward(const Pieces&, double, const float*, const float*, float*);
template void rms_norm_forward(const Pieces&, double, const double*, const double*, double*);
template void rms_norm_backward(const Pieces&, double, const float*, const float*, const float*, float*,
                                bool);
template void rms_norm_backward(const Pieces&, double, const double*, const double*, const double*, double*,
                                bool);
template void rms_norm_gain(const Pieces&, double, const float*, const float*, float*, bool);
template void rms_norm_gain(const Pieces&, double, const double*, const double*, double*, bool);

}  // namespace cpu
}  // namespace tapestry
