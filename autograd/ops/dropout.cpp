#include "autograd/ops/dropout.h"

#include "autograd/random.h"
#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {

Tensor dropout(const Tensor& x, double p) {
  require(p >= 0 && p < 1, "dropout: probability ", p, " is not in [0, 1)");
  if (p == 0 || Tape::current() == nullptr) return x;
  const uint64_t key = Tape::current()->next_random_key();
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), dropout<T>(x.data<T>(), y.mutable_data<T>(), x.size(), p, key, false));
  });
  record("dropout", {x}, y, {}, [p, key](BackwardStep& step) {
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), dropout<T>(dy.data<T>(), dx.data<T>(), dy.size(), p, key, dx.accumulate));
    });
  });
  return y;
}

namespace cpu {

template <class T>
void dropout(const T* x, T* y, int64_t n, double p, uint64_t key, bool accumulate) {
  const float threshold = static_cast<float>(p);
  const T factor = static_cast<T>(1 / (1 - p));
  parallel_for(n, kPieceSize, [=](int64_t begin, int64_t end) {
    write(y, begin, end, accumulate,
          [=](int64_t i) { return random_uniform(key, i) >= threshold ? factor * x[i] : T(0); });
  });
}

}  // namespace cpu
}  // namespace tapestry
