#include "autograd/ops/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/linear.h"
#include "autograd/ops/rms_norm.h"
#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

template <bool Centred>
void backward(BackwardStep& step, NormSize size) {
  const Tensor &x = step.saved(0), &gain = step.saved(1), &stats = step.saved(2), &dy = step.gradient();
  const int64_t blocks = size.blocks(), width = size.gains * size.n;
  Tensor partial = Tensor::empty({2, blocks, width}, x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    const auto run = [&](T* dx, bool accumulate) {
      LAUNCH(x.device(), norm_backward<Centred, T>(x.data<T>(), gain.data<T>(), stats.data<T>(), dy.data<T>(),
                                                   dx, accumulate, partial.mutable_data<T>(), size));
    };
    if (step.needs(0)) {
      Destination dx = step.into(0);
      run(dx.data<T>(), dx.accumulate);
    } else {
      run(nullptr, false);
    }
    for (size_t i = 0; i < 2; ++i) {
      if (!step.needs(1 + i)) continue;
      Destination sum = step.into(1 + i);
      LAUNCH(x.device(), column_sum<T>(partial.data<T>() + i * blocks * width, sum.data<T>(), blocks, width,
                                       sum.accumulate));
    }
  });
}

template <bool Centred>
Tensor normalise(const char* name, const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  require(x.rank() >= 1 && (gain.rank() == 1 || gain.rank() == 2) && gain.size() > 0 &&
              x.dim(-1) % gain.size() == 0,
          name, ": x ", x.shape(), " against gain ", gain.shape());
  require(!bias.defined() || bias.shape() == gain.shape(), name, ": bias ", bias.shape(), " against gain ",
          gain.shape());
  const int64_t n = gain.dim(-1);
  const NormSize size{x.size() / n, n, gain.size() / n};
  Tensor y = Tensor::empty_like(x), stats = Tensor::empty({size.rows, 2}, x.dtype(), x.device());
  for_float(x.dtype(), [&]<class T>(T) {
    LAUNCH(x.device(),
           norm_forward<Centred, T>(x.data<T>(), gain.data<T>(), bias.defined() ? bias.data<T>() : nullptr,
                                    y.mutable_data<T>(), stats.mutable_data<T>(), size, eps));
  });
  record(name, {x, gain, bias}, y, {x, gain, stats},
         [size](BackwardStep& step) { backward<Centred>(step, size); });
  return y;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double eps) {
  return normalise<true>("layer_norm", x, gain, bias, eps);
}

Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps) {
  return normalise<false>("rms_norm", x, gain, {}, eps);
}

namespace cpu {
namespace {

template <class T>
T row_mean(const T* x, int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum / n;
}

/// 1 / sqrt(mean of (x - mean)^2 + eps)
template <class T>
T reciprocal_root(const T* x, T mean, int64_t n, double eps) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += (x[i] - mean) * (x[i] - mean);
  return 1 / std::sqrt(sum / n + static_cast<T>(eps));
}

/// One row of the backward pass; dx may be null.
template <bool Centred, class T>
void norm_backward_row(const T* x, const T* gain, T mean, T root, const T* dy, T* dx, bool accumulate,
                       T* dgain, T* dbias, int64_t n) {
  T sum_g = 0, sum_gx = 0;
#pragma omp simd reduction(+ : sum_g, sum_gx)
  for (int64_t i = 0; i < n; ++i) {
    const T normal = (x[i] - mean) * root, g = dy[i] * gain[i];
    sum_g += g;
    sum_gx += g * normal;
    dgain[i] += dy[i] * normal;
    if constexpr (Centred) dbias[i] += dy[i];
  }
  if (dx == nullptr) return;
  const T mean_g = Centred ? sum_g / n : T(0), mean_gx = sum_gx / n;
  write(dx, 0, n, accumulate,
        [=](int64_t i) { return root * (dy[i] * gain[i] - mean_g - (x[i] - mean) * root * mean_gx); });
}

int64_t grain_of_rows(int64_t n) { return std::max<int64_t>(1, kPieceSize / std::max<int64_t>(n, 1)); }

}  // namespace

template <bool Centred, class T>
void norm_forward(const T* x, const T* gain, const T* bias, T* y, T* stats, NormSize size, double eps) {
  const auto [rows, n, gains] = size;
  parallel_for(rows, grain_of_rows(n), [=, n = n, gains = gains](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *from = x + row * n, *g = gain + row % gains * n, *b = bias ? bias + row % gains * n : nullptr;
      const T mean = Centred ? row_mean(from, n) : T(0);
      const T root = reciprocal_root(from, mean, n, eps);
      stats[2 * row] = mean;
      stats[2 * row + 1] = root;
      if (b != nullptr) {
        write(y + row * n, 0, n, false, [=](int64_t i) { return (from[i] - mean) * root * g[i] + b[i]; });
      } else {
        write(y + row * n, 0, n, false, [=](int64_t i) { return (from[i] - mean) * root * g[i]; });
      }
    }
  });
}

template <bool Centred, class T>
void norm_backward(const T* x, const T* gain, const T* stats, const T* dy, T* dx, bool accumulate, T* partial,
                   NormSize size) {
  const int64_t n = size.n, width = size.gains * n;
  parallel_for(size.blocks(), 1, [=](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      T *dgain = partial + block * width, *dbias = dgain + size.blocks() * width;
      std::fill(dgain, dgain + width, T(0));
      std::fill(dbias, dbias + width, T(0));
      const int64_t begin = block * NormSize::block_rows;
      for (int64_t row = begin; row < std::min(size.rows, begin + NormSize::block_rows); ++row) {
        const int64_t at = row % size.gains * n;
        norm_backward_row<Centred>(x + row * n, gain + at, stats[2 * row], stats[2 * row + 1], dy + row * n,
                                   dx ? dx + row * n : nullptr, accumulate, dgain + at, dbias + at, n);
      }
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
