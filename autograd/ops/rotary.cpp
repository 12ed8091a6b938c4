#include "autograd/ops/rotary.h"

#include <cmath>
#include <vector>

#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {

namespace {

Tensor turned(const Tensor& x, int64_t n_head, double theta, int64_t first_position, int64_t stride) {
  require(x.rank() == 3 && n_head > 0 && x.dim(2) % (2 * n_head) == 0, "rotary: x ", x.shape(),
          " does not have ", n_head, " heads of even width");
  const RotarySize size{x.dim(0), x.dim(1), n_head, x.dim(2) / n_head, first_position, stride};
  Tensor y = Tensor::empty_like(x);
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(), rotary<T>(x.data<T>(), y.mutable_data<T>(), size, theta, 1, false));
  });
  record("rotary", {x}, y, {}, [size, theta](BackwardStep& step) {
    const Tensor& dy = step.gradient();
    Destination dx = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), rotary<T>(dy.data<T>(), dx.data<T>(), size, theta, -1, dx.accumulate));
    });
  });
  return y;
}

}  // namespace

Tensor rotary(const Tensor& x, int64_t n_head, int64_t first_position, double theta) {
  return turned(x, n_head, theta, first_position, 1);
}

Tensor rotary_at(const Tensor& x, int64_t n_head, int64_t position, double theta) {
  return turned(x, n_head, theta, position, 0);
}

namespace cpu {
namespace {

/// Cosines and sines of one position, and how to get to the next.
class Angles {
 public:
  Angles(int64_t pairs, double theta, double sign)
      : frequency_(pairs), step_cos_(pairs), step_sin_(pairs), cos_(pairs), sin_(pairs) {
    for (int64_t j = 0; j < pairs; ++j) {
      frequency_[j] = sign * std::pow(theta, -static_cast<double>(j) / pairs);
      step_cos_[j] = std::cos(frequency_[j]);
      step_sin_[j] = std::sin(frequency_[j]);
    }
  }

  void move_to(int64_t position) {
    for (size_t j = 0; j < frequency_.size(); ++j) {
      cos_[j] = std::cos(frequency_[j] * position);
      sin_[j] = std::sin(frequency_[j] * position);
    }
  }

  /// Turns by one position's angle in float64: a few steps lose nothing that float32 shows, and cost a tenth
  /// of a sine.
  void advance() {
    for (size_t j = 0; j < frequency_.size(); ++j) {
      const double c = cos_[j] * step_cos_[j] - sin_[j] * step_sin_[j];
      sin_[j] = sin_[j] * step_cos_[j] + cos_[j] * step_sin_[j];
      cos_[j] = c;
    }
  }

  const double* cos() const { return cos_.data(); }
  const double* sin() const { return sin_.data(); }

 private:
  std::vector<double> frequency_, step_cos_, step_sin_, cos_, sin_;
};

/// One head at one position.
template <class T>
void rotate(const T* x, T* y, const T* cos, const T* sin, int64_t pairs, bool accumulate) {
  const T* high = x + pairs;
  write(y, 0, pairs, accumulate, [=](int64_t j) { return x[j] * cos[j] - high[j] * sin[j]; });
  write(y + pairs, 0, pairs, accumulate, [=](int64_t j) { return high[j] * cos[j] + x[j] * sin[j]; });
}

}  // namespace

template <class T>
void rotary(const T* x, T* y, RotarySize size, double theta, double sign, bool accumulate) {
  constexpr int64_t run = 32;  // positions from one exact angle to the next
  const int64_t pairs = size.d / 2, width = size.n_head * size.d;
  parallel_for(ceil_div(size.tokens, run), 1, [=](int64_t begin, int64_t end) {
    Angles angles(pairs, theta, sign);
    std::vector<T> cos(pairs), sin(pairs);
    for (int64_t t = begin * run; t < std::min(size.tokens, end * run); ++t) {
      if (t % run == 0) {
        angles.move_to(size.first_position + size.stride * t);
      } else if (size.stride != 0) {
        angles.advance();
      }
      std::copy_n(angles.cos(), pairs, cos.data());
      std::copy_n(angles.sin(), pairs, sin.data());
      for (int64_t b = 0; b < size.batch; ++b) {
        for (int64_t h = 0; h < size.n_head; ++h) {
          const int64_t at = (b * size.tokens + t) * width + h * size.d;
          rotate(x + at, y + at, cos.data(), sin.data(), pairs, accumulate);
        }
      }
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
