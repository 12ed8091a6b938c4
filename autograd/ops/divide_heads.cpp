#include "autograd/ops/divide_heads.h"

#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {

Tensor divide_heads(const Tensor& x, const Tensor& den, double eps) {
  require(x.rank() >= 1 && den.rank() == x.rank() && den.shape().rows() == x.shape().rows() &&
              x.dim(-1) % den.dim(-1) == 0,
          "divide_heads: x ", x.shape(), " against one number a head ", den.shape());
  const int64_t pieces = den.size(), head_width = x.size() / pieces;
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(),
           divide_heads<T>(x.data<T>(), den.data<T>(), y.mutable_data<T>(), pieces, head_width, eps, false));
  });
  record("divide_heads", {x, den}, y, {y, den}, [pieces, head_width, eps](BackwardStep& step) {
    const Tensor &y = step.saved(0), &den = step.saved(1), &dy = step.gradient();
    for_float(y.dtype(), [&]<class T>(T) {
      if (step.needs(0)) {
        Destination dx = step.into(0);
        LAUNCH(y.device(), divide_heads<T>(dy.data<T>(), den.data<T>(), dx.data<T>(), pieces, head_width, eps,
                                           dx.accumulate));
      }
      if (step.needs(1)) {
        Destination dden = step.into(1);
        LAUNCH(y.device(),
               divide_heads_denominator<T>(y.data<T>(), den.data<T>(), dy.data<T>(), dden.data<T>(), pieces,
                                           head_width, eps, dden.accumulate));
      }
    });
  });
  return y;
}

namespace cpu {
namespace {

constexpr int64_t kPieceGrain = 256;  // pieces

/// 1 / (den + eps), or 0 where nothing was read.
template <class T>
T inverse(T den, double eps) {
  const T sum = den + static_cast<T>(eps);
  return sum == 0 ? T(0) : 1 / sum;
}

}  // namespace

template <class T>
void divide_heads(const T* x, const T* den, T* y, int64_t pieces, int64_t head_width, double eps,
                  bool accumulate) {
  parallel_for(pieces, kPieceGrain, [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const T factor = inverse(den[piece], eps);
      const T* in = x + piece * head_width;
      T* out = y + piece * head_width;
#pragma omp simd
      for (int64_t i = 0; i < head_width; ++i) out[i] = (accumulate ? out[i] : T(0)) + in[i] * factor;
    }
  });
}

template <class T>
void divide_heads_denominator(const T* y, const T* den, const T* dy, T* dden, int64_t pieces,
                              int64_t head_width, double eps, bool accumulate) {
  parallel_for(pieces, kPieceGrain, [=](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const T *a = y + piece * head_width, *b = dy + piece * head_width;
      T dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < head_width; ++i) dot += a[i] * b[i];
      dden[piece] = (accumulate ? dden[piece] : T(0)) - dot * inverse(den[piece], eps);
    }
  });
}

template void divide_heads(const float*, const float*, float*, int64_t, int64_t, double, bool);
template void divide_heads(const double*, const double*, double*, int64_t, int64_t, double, bool);
template void divide_heads_denominator(const float*, const float*, const float*, float*, int64_t, int64_t,
                                       double, bool);
template void divide_heads_denominator(const double*, const double*, const double*, double*, int64_t, int64_t,
                                       double, bool);

}  // namespace cpu
}  // namespace tapestry
