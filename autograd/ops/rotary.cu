#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/rotary.h"

namespace tapestry::cuda {

template <class T>
void rotary(const T* x, T* y, RotarySize size, double theta, double sign, bool accumulate) {
  const int64_t pairs = size.d / 2, width = size.n_head * size.d;
  // A thread for each angle, which all heads of all sequences share.
  for_each_index("rotary", size.tokens * pairs, [=] __device__(int64_t i) {
    const int64_t t = i / pairs, j = i % pairs;
    const double angle = sign * std::pow(theta, -static_cast<double>(j) / pairs) *
                         static_cast<double>(size.first_position + size.stride * t);
    const T c = static_cast<T>(std::cos(angle)), s = static_cast<T>(std::sin(angle));
    for (int64_t head = 0; head < size.batch * size.n_head; ++head) {
      const int64_t low = (head / size.n_head * size.tokens + t) * width + head % size.n_head * size.d + j;
      const T a = x[low], b = x[low + pairs];
      put(y[low], a * c - b * s, accumulate);
      put(y[low + pairs], b * c + a * s, accumulate);
    }
  });
}

#define INSTANTIATE(T) template void rotary(const T*, T*, RotarySize, double, double, bool);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
