#include "optim/clip.h"

#include <algorithm>
#include <cmath>

#include "optim/pieces.h"

namespace tapestry {
namespace {

/// Sum of the squares of each gradient, all of which have one dtype and device.
std::vector<double> squares_of(const std::vector<Tensor>& gradients) {
  std::vector<double> sums(gradients.size());
  if (gradients.empty()) return sums;
  for_float(gradients.front().dtype(), [&]<class T>(T) {
    std::vector<GradientBlock<T>> blocks;
    for (const Tensor& gradient : gradients) blocks.push_back({gradient.data<T>(), gradient.size()});
    LAUNCH(gradients.front().device(), sums_of_squares<T>(blocks.data(), blocks.size(), sums.data()));
  });
  return sums;
}

}  // namespace

GradientNorm clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm,
                                double gradient_scale) {
  std::vector<Tensor> gradients;
  std::vector<std::string> names;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.has_gradient()) continue;
    gradients.push_back(parameter.gradient());
    names.push_back(name);
  }
  const std::vector<double> squares = squares_of(gradients);
  double total = 0;
  for (const double square : squares) total += square;

  GradientNorm result;
  result.norm = std::sqrt(total) * std::abs(gradient_scale);
  const double factor = max_norm > 0 ? std::min(1.0, max_norm / (result.norm + 1e-6)) : 1;
  result.scale = gradient_scale * factor;
  const auto bad =
      std::find_if_not(squares.begin(), squares.end(), [](double s) { return std::isfinite(s); });
  if (bad != squares.end()) result.nonfinite = names[bad - squares.begin()];
  return result;
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

}  // namespace cpu
}  // namespace tapestry
