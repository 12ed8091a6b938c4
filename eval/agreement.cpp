#include "eval/agreement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tapestry {
namespace {

constexpr size_t kMostTop = 10;
using Top = std::array<int64_t, kMostTop>;

/// Indices of the largest values, the largest first; of equal ones the earlier.
size_t find_top(std::span<const float> values, Top& top) {
  size_t count = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (count == kMostTop && !(values[i] > values[top[count - 1]])) continue;
    size_t at = count < kMostTop ? count++ : count - 1;
    for (; at > 0 && values[i] > values[top[at - 1]]; --at) top[at] = top[at - 1];
    top[at] = static_cast<int64_t>(i);
  }
  return count;
}

/// Share of the first k of `a` among the first k of `b`.
double overlap(const Top& a, const Top& b, size_t k) {
  const auto in_b = [&](int64_t id) { return std::find(b.begin(), b.begin() + k, id) != b.begin() + k; };
  return static_cast<double>(std::count_if(a.begin(), a.begin() + k, in_b)) / static_cast<double>(k);
}

}  // namespace

double log_sum_exp(std::span<const float> values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const float value : values) sum += std::exp(value - most);
  return most + std::log(sum);
}

VectorAgreement compare_vectors(std::span<const float> a, std::span<const float> b) {
  double aa = 0, bb = 0, ab = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    aa += x * x;
    bb += y * y;
    ab += x * y;
    squares += (x - y) * (x - y);
  }
  const double both_zero = aa == bb ? 1 : 0;
  return {aa * bb == 0 ? both_zero : ab / std::sqrt(aa * bb), squares / static_cast<double>(a.size())};
}

LogitAgreement compare_logits(std::span<const float> a, std::span<const float> b, int32_t target) {
  LogitAgreement found{.logits = compare_vectors(a, b)};
  const double log_a = log_sum_exp(a), log_b = log_sum_exp(b);
  for (size_t i = 0; i < a.size(); ++i) {
    const double log_p = a[i] - log_a;
    found.kl += std::exp(log_p) * (log_p - (b[i] - log_b));
  }
  Top top_a{}, top_b{};
  const size_t count = find_top(a, top_a);
  find_top(b, top_b);
  found.top1 = overlap(top_a, top_b, std::min<size_t>(1, count));
  found.top5 = overlap(top_a, top_b, std::min<size_t>(5, count));
  found.top10 = overlap(top_a, top_b, count);
  found.nll_a = log_a - a[static_cast<size_t>(target)];
  found.nll_b = log_b - b[static_cast<size_t>(target)];
  return found;
}

Estimate estimate(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  if (values.size() < 2) return {mean, std::numeric_limits<double>::quiet_NaN()};
  return {mean, std::sqrt(squares / (count - 1) / count)};
}

}  // namespace tapestry
