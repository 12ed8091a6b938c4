#include "autograd/ops/short_convolution.h"

#include <algorithm>
#include <vector>

#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

void backward(BackwardStep& step, const ConvolutionSize& size) {
  const Tensor &x = step.saved(0), &w = step.saved(1), &dy = step.gradient();
  for_float(x.dtype(), [&]<class T>(T) {
    if (step.needs(0)) {
      Destination dx = step.into(0);
      LAUNCH(x.device(),
             short_convolution_input(size, dy.data<T>(), w.data<T>(), dx.data<T>(), dx.accumulate));
    }
    if (step.needs(1)) {
      Destination dw = step.into(1);
      LAUNCH(x.device(),
             short_convolution_weight(size, x.data<T>(), dy.data<T>(), dw.data<T>(), dw.accumulate));
    }
  });
}

}  // namespace

Tensor short_convolution(const Tensor& x, const Tensor& weight) {
  require(x.rank() == 3 && weight.rank() == 2 && weight.dim(0) == x.dim(2) && weight.dim(1) >= 1,
          "short_convolution: x ", x.shape(), " against w ", weight.shape());
  const ConvolutionSize size{x.dim(0), x.dim(1), x.dim(2), weight.dim(1)};
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), short_convolution_forward(size, x.data<T>(), weight.data<T>(), y.mutable_data<T>()));
  });
  record("short_convolution", {x, weight}, y, {x, weight},
         [size](BackwardStep& step) { backward(step, size); });
  return y;
}

namespace cpu {
namespace {

/// y_t (+)= sum over s < taps of w_s o x_{t + direction s}, where that token exists; w [taps, C] by distance.
template <class T>
void convolve(const ConvolutionSize& size, const T* x, const T* w, int64_t direction, T* y, bool accumulate) {
  const int64_t channels = size.channels;
  const int64_t grain = std::max<int64_t>(1, kPieceSize / channels);
  parallel_for(size.batch * size.tokens, grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t t = row % size.tokens, seen = direction < 0 ? t + 1 : size.tokens - t;
      T* to = y + row * channels;
      for (int64_t s = 0; s < std::min(size.taps, seen); ++s) {
        const T *from = x + (row + direction * s) * channels, *factor = w + s * channels;
        write(to, 0, channels, accumulate || s > 0, [=](int64_t i) { return from[i] * factor[i]; });
      }
    }
  });
}

/// The numbers of w [C, taps] by distance from the current token, [taps, C].
template <class T>
std::vector<T> by_distance(const ConvolutionSize& size, const T* w) {
  std::vector<T> result(size.taps * size.channels);
  for (int64_t channel = 0; channel < size.channels; ++channel) {
    for (int64_t j = 0; j < size.taps; ++j)
      result[(size.taps - 1 - j) * size.channels + channel] = w[channel * size.taps + j];
  }
  return result;
}

}  // namespace

template <class T>
void short_convolution_forward(const ConvolutionSize& size, const T* x, const T* w, T* y) {
  convolve(size, x, by_distance(size, w).data(), -1, y, false);
}

template <class T>
void short_convolution_input(const ConvolutionSize& size, const T* dy, const T* w, T* dx, bool accumulate) {
  convolve(size, dy, by_distance(size, w).data(), 1, dx, accumulate);
}

template <class T>
void short_convolution_weight(const ConvolutionSize& size, const T* x, const T* dy, T* dw, bool accumulate) {
  const int64_t channels = size.channels, taps = size.taps;
  std::vector<T> sums(channels);
  for (int64_t distance = 0; distance < taps; ++distance) {
    std::fill(sums.begin(), sums.end(), T(0));
    for (int64_t b = 0; b < size.batch && distance < size.tokens; ++b) {
      const T *from = x + b * size.tokens * channels, *to = dy + (b * size.tokens + distance) * channels;
      sum_rows(size.tokens - distance, channels, sums.data(), true,
               [=](int64_t i) { return to[i] * from[i]; });
    }
    for (int64_t channel = 0; channel < channels; ++channel) {
      T& out = dw[channel * taps + taps - 1 - distance];
      out = (accumulate ? out : T(0)) + sums[channel];
    }
  }
}

template void short_convolution_forward(const ConvolutionSize&, const float*, const float*, float*);
template void short_convolution_forward(const ConvolutionSize&, const double*, const double*, double*);
template void short_convolution_input(const ConvolutionSize&, const float*, const float*, float*, bool);
template void short_convolution_input(const ConvolutionSize&, const double*, const double*, double*, bool);
template void short_convolution_weight(const ConvolutionSize&, const float*, const float*, float*, bool);
template void short_convolution_weight(const ConvolutionSize&, const double*, const double*, double*, bool);

}  // namespace cpu
}  // namespace tapestry
