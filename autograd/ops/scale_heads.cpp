#include "autograd/ops/scale_heads.h"

#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {

Tensor scale_heads(const Tensor& x, const Tensor& factor) {
  require(x.rank() >= 1 && factor.rank() == 1 && x.dim(-1) % factor.dim(0) == 0, "scale_heads: x ", x.shape(),
          " against one factor a head ", factor.shape());
  const int64_t rows = x.shape().rows(), n_head = factor.dim(0), head_width = x.dim(-1) / n_head;
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), scale_heads<T>(x.data<T>(), factor.data<T>(), y.mutable_data<T>(), rows, n_head,
                                      head_width, false));
  });
  record("scale_heads", {x, factor}, y, {x, factor}, [rows, n_head, head_width](BackwardStep& step) {
    const Tensor &x = step.saved(0), &factor = step.saved(1), &dy = step.gradient();
    for_float(x.dtype(), [&]<class T>(T) {
      if (step.needs(0)) {
        Destination dx = step.into(0);
        LAUNCH(x.device(), scale_heads<T>(dy.data<T>(), factor.data<T>(), dx.data<T>(), rows, n_head,
                                          head_width, dx.accumulate));
      }
      if (step.needs(1)) {
        Destination df = step.into(1);
        LAUNCH(x.device(), scale_heads_sums<T>(x.data<T>(), dy.data<T>(), df.data<T>(), rows, n_head,
                                               head_width, df.accumulate));
      }
    });
  });
  return y;
}

namespace cpu {

constexpr int64_t kScaledRowGrain = 64;  // rows

template <class T>
void scale_heads(const T* x, const T* factor, T* y, int64_t rows, int64_t n_head, int64_t head_width,
                 bool accumulate) {
  parallel_for(rows, kScaledRowGrain, [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin * n_head; piece < end * n_head; ++piece) {
      const T f = factor[piece % n_head];
      const T* in = x + piece * head_width;
      T* out = y + piece * head_width;
#pragma omp simd
      for (int64_t i = 0; i < head_width; ++i) out[i] = (accumulate ? out[i] : T(0)) + f * in[i];
    }
  });
}

template <class T>
void scale_heads_sums(const T* x, const T* dy, T* dfactor, int64_t rows, int64_t n_head, int64_t head_width,
                      bool accumulate) {
  const std::vector<double> sums =
      parallel_sums(rows, kScaledRowGrain, n_head, [=](int64_t begin, int64_t end, double* sums) {
        for (int64_t piece = begin * n_head; piece < end * n_head; ++piece) {
          const T *a = x + piece * head_width, *b = dy + piece * head_width;
          T dot = 0;
#pragma omp simd reduction(+ : dot)
          for (int64_t i = 0; i < head_width; ++i) dot += a[i] * b[i];
          sums[piece % n_head] += dot;
        }
      });
  for (int64_t h = 0; h < n_head; ++h)
    dfactor[h] = (accumulate ? dfactor[h] : T(0)) + static_cast<T>(sums[h]);
}

template void scale_heads(const float*, const float*, float*, int64_t, int64_t, int64_t, bool);
template void scale_heads(const double*, const double*, double*, int64_t, int64_t, int64_t, bool);
template void scale_heads_sums(const float*, const float*, float*, int64_t, int64_t, int64_t, bool);
template void scale_heads_sums(const double*, const double*, double*, int64_t, int64_t, int64_t, bool);

}  // namespace cpu
}  // namespace tapestry
