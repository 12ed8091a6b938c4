#include "optim/clip.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "optim/pieces.h"

namespace tapestry {
namespace {

std::vector<NamedParameter> with_gradients(const std::vector<NamedParameter>& parameters) {
  std::vector<NamedParameter> some;
  for (const NamedParameter& named : parameters) {
    if (named.parameter.has_gradient()) some.push_back(named);
  }
  return some;
}

/// [parameters], float64, beside their gradients.
Tensor squares_of(const std::vector<NamedParameter>& parameters) {
  if (parameters.empty()) return Tensor::zeros({0}, DType::float64);
  const Tensor& first = parameters.front().parameter.gradient();
  Tensor sums = Tensor::empty({static_cast<int64_t>(parameters.size())}, DType::float64, first.device());
  for_float(first.dtype(), [&]<class T>(T) {
    std::vector<GradientBlock<T>> blocks;
    for (const auto& [name, parameter] : parameters)
      blocks.push_back({parameter.gradient().template data<T>(), parameter.gradient().size()});
    LAUNCH(first.device(), sums_of_squares<T>(blocks.data(), blocks.size(), sums.mutable_data<double>()));
  });
  return sums;
}

Tensor scale_of(const Tensor& squares, double max_norm, const std::vector<Tensor>& conditions) {
  Tensor scale = Tensor::empty({}, DType::float64, squares.device());
  double* value = scale.mutable_data<double>();
  LAUNCH(squares.device(), clip_scale(squares.data<double>(), squares.size(), max_norm, value));
  for (const Tensor& condition : conditions) {
    const Tensor here = condition.to(squares.device());
    for_float(here.dtype(),
              [&]<class T>(T) { LAUNCH(here.device(), require_finite<T>(here.data<T>(), value)); });
  }
  return scale;
}

}  // namespace

Clipping::Clipping(const std::vector<NamedParameter>& parameters, double max_norm,
                   const std::vector<Tensor>& conditions)
    : max_norm_(max_norm) {
  const std::vector<NamedParameter> some = with_gradients(parameters);
  for (const NamedParameter& named : some) names_.push_back(named.name);
  const Tensor squares = squares_of(some);
  squares_.emplace(squares);
  scale_ = scale_of(squares, max_norm, conditions);
}

GradientNorm Clipping::read() const {
  const std::vector<double> squares = squares_->values();
  const ClippedScale found(squares.data(), static_cast<int64_t>(squares.size()), max_norm_);
  GradientNorm result{found.norm, found.scale, {}};
  const auto bad =
      std::find_if_not(squares.begin(), squares.end(), [](double s) { return std::isfinite(s); });
  if (bad != squares.end()) result.nonfinite = names_[bad - squares.begin()];
  return result;
}

GradientNorm clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm) {
  return Clipping(parameters, max_norm).read();
}

namespace cpu {

/// Many independent sums, because one would wait for each addition to finish before the next.
template <class T>
double sum_of_squares(const T* x, int64_t n) {
  constexpr int64_t lanes = 32;
  double sums[lanes] = {};
  const int64_t whole = n / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < lanes; ++lane) sums[lane] += static_cast<double>(x[i + lane]) * x[i + lane];
  }
  for (int64_t i = whole; i < n; ++i) sums[i - whole] += static_cast<double>(x[i]) * x[i];
  double sum = 0;
  for (const double lane : sums) sum += lane;
  return sum;
}

template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums) {
  const std::vector<Piece> pieces = split(blocks, count);
  std::vector<double> partial(pieces.size());
  parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Piece& piece = pieces[i];
      partial[i] = sum_of_squares(blocks[piece.block].g + piece.begin, piece.end - piece.begin);
    }
  });
  std::fill_n(sums, count, 0.0);
  for (size_t i = 0; i < pieces.size(); ++i) sums[pieces[i].block] += partial[i];
}

void clip_scale(const double* squares, int64_t count, double max_norm, double* scale) {
  *scale = ClippedScale(squares, count, max_norm).scale;
}

template <class T>
void require_finite(const T* condition, double* scale) {
  if (!std::isfinite(*condition)) *scale = std::numeric_limits<double>::quiet_NaN();
}

}  // namespace cpu
}  // namespace tapestry
