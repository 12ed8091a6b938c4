#pragma once

#include "autograd/tensor.h"

namespace tapestry::test {

/// Rows [begin, end) of sequence b of x [B, T, C].
inline std::vector<double> rows(const Tensor& x, int64_t b, int64_t begin, int64_t end) {
  const std::vector<double> all = x.values<double>();
  const auto start = all.begin() + b * x.dim(1) * x.dim(2);
  return {start + begin * x.dim(2), start + end * x.dim(2)};
}

/// x [B, T, C] -> its rows [begin, end), [B, end - begin, C].
inline Tensor part(const Tensor& x, int64_t begin, int64_t end) {
  std::vector<double> values;
  for (int64_t b = 0; b < x.dim(0); ++b) {
    const std::vector<double> sequence = rows(x, b, begin, end);
    values.insert(values.end(), sequence.begin(), sequence.end());
  }
  return Tensor::from(values, {x.dim(0), end - begin, x.dim(2)}).to(x.dtype());
}
inline Tensor prefix(const Tensor& x, int64_t tokens) { return part(x, 0, tokens); }

/// Lengths on both sides of the period and its double, 1, and two others.
inline std::vector<int64_t> lengths(int64_t period) {
  std::vector<int64_t> all = {1, period - 1, period, period + 1, 2 * period - 1, 2 * period + 1, 63, 100};
  std::erase(all, 0);
  return all;
}

/// Those and a long one, for tests that take few runs for each.
inline std::vector<int64_t> lengths_up_to_1000(int64_t period) {
  std::vector<int64_t> all = lengths(period);
  all.push_back(1000);
  return all;
}

}  // namespace tapestry::test
