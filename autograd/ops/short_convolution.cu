#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/short_convolution.h"

namespace tapestry::cuda {
namespace {

/// y_t (+)= sum over s < taps of w[., taps - 1 - s] o x_{t + direction s}, where that token exists.
template <class T>
void convolve(const char* name, const ConvolutionSize& size, const T* x, const T* w, int64_t direction, T* y,
              bool accumulate) {
  const int64_t channels = size.channels, taps = size.taps, tokens = size.tokens;
  for_each_index(name, size.batch * tokens * channels, [=] __device__(int64_t i) {
    const int64_t channel = i % channels, t = i / channels % tokens;
    const int64_t exist = direction < 0 ? t + 1 : tokens - t;
    T sum = 0;
    for (int64_t s = 0; s < taps && s < exist; ++s)
      sum += x[i + direction * s * channels] * w[channel * taps + taps - 1 - s];
    put(y[i], sum, accumulate);
  });
}

}  // namespace

template <class T>
void short_convolution_forward(const ConvolutionSize& size, const T* x, const T* w, T* y) {
  convolve("short_convolution_forward", size, x, w, -1, y, false);
}

template <class T>
void short_convolution_input(const ConvolutionSize& size, const T* dy, const T* w, T* dx, bool accumulate) {
  convolve("short_convolution_input", size, dy, w, 1, dx, accumulate);
}

template <class T>
void short_convolution_weight(const ConvolutionSize& size, const T* x, const T* dy, T* dw, bool accumulate) {
  const int64_t channels = size.channels, taps = size.taps, tokens = size.tokens;
  DeviceArray<T> sums_array(channels);
  T* sums = sums_array.data();
  for (int64_t distance = 0; distance < taps; ++distance) {
    sum_rows("short_convolution_weight", size.batch * tokens, channels, sums, false,
             [=] __device__(int64_t i) {
               const bool seen = i / channels % tokens >= distance;
               return seen ? dy[i] * x[i - distance * channels] : T(0);
             });
    for_each_index("short_convolution_weight", channels, [=] __device__(int64_t channel) {
      put(dw[channel * taps + taps - 1 - distance], sums[channel], accumulate);
    });
  }
}

#define INSTANTIATE(T)                                                                         \
  template void short_convolution_forward(const ConvolutionSize&, const T*, const T*, T*);     \
  template void short_convolution_input(const ConvolutionSize&, const T*, const T*, T*, bool); \
  template void short_convolution_weight(const ConvolutionSize&, const T*, const T*, T*, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
