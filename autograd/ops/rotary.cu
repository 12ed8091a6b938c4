#include "autograd/cuda/kernel.cuh"
#include "autograd/ops/rotary.h"

namespace tapestry::cuda {

template <class T>
void rotary(const T* x, T* y, RotarySize size, double theta, double sign, bool accumulate) {
  constexpr int64_t shared = 8;  // heads, of any sequence, that take an angle from one thread
  const int64_t pairs = size.d / 2, width = size.n_head * size.d, heads = size.batch * size.n_head;
  for_each_index("rotary", ceil_div(heads, shared) * size.tokens * pairs, [=] __device__(int64_t i) {
    const int64_t t = i / pairs % size.tokens, j = i % pairs, first = i / pairs / size.tokens * shared;
    const int64_t end = first + shared < heads ? first + shared : heads;
    const double angle = sign * std::pow(theta, -static_cast<double>(j) / pairs) *
                         static_cast<double>(size.first_position + size.stride * t);
    const T c = static_cast<T>(std::cos(angle)), s = static_cast<T>(std::sin(angle));
    for (int64_t head = first; head < end; ++head) {
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
