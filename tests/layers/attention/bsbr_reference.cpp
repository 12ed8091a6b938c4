#include "tests/layers/attention/bsbr_reference.h"

#include <algorithm>
#include <cmath>

namespace tapestry::test {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Row softmax(const Row& x) {
  const double largest = *std::max_element(x.begin(), x.end());
  Row y;
  double sum = 0;
  for (double value : x) sum += std::exp(value - largest);
  for (double value : x) y.push_back(std::exp(value - largest) / sum);
  return y;
}

Row features(const BsbrOptions& o, Row z) {
  if (o.feature_map == "softmax") return softmax(z);
  if (o.feature_map == "elu1") {
    for (double& value : z) value = value > 0 ? value + 1 : std::exp(value);
  }
  return z;
}

/// x W by row, cut to one head unless head is negative.
Rows project(const Rows& x, const Row& weight, int64_t n_head, int64_t head) {
  const int64_t width = static_cast<int64_t>(x[0].size()), d = width / n_head;
  const int64_t begin = head < 0 ? 0 : head * d, end = head < 0 ? width : begin + d;
  Rows y;
  for (const Row& row : x) {
    Row& out = y.emplace_back();
    for (int64_t j = begin; j < end; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < width; ++i) sum += row[i] * weight[i * width + j];
      out.push_back(sum);
    }
  }
  return y;
}

void add_scaled(Row& y, double factor, const Row& x) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
}

/// One head of one sequence.
struct Head {
  const BsbrOptions& o;
  Rows q, k, v, r, h;
  Row gain;  // of the norm
  double gate;
  double scale() const { return 1 / std::sqrt(static_cast<double>(q[0].size())); }

  bool visible(int64_t t, int64_t i) const {
    return i <= t && (i >= t / o.chunk * o.chunk - o.reach() || i < o.sink);
  }

  /// Softmax over the local tokens.
  Row attend(int64_t t) const {
    std::vector<int64_t> keys;
    Row scores;
    for (int64_t i = 0; i <= t; ++i) {
      if (!visible(t, i)) continue;
      keys.push_back(i);
      scores.push_back(scale() * dot(q[t], k[i]));
    }
    const Row p = softmax(scores);
    Row y(v[t].size(), 0.0);
    for (size_t i = 0; i < keys.size(); ++i) add_scaled(y, p[i], v[keys[i]]);
    return y;
  }

  Row chunk_weights(int64_t n) const {
    Row scores;
    for (int64_t j = 0; j < n; ++j) scores.push_back(scale() * dot(r[n * o.chunk], h[(j + 1) * o.chunk - 1]));
    std::vector<int64_t> order;
    for (int64_t j = n - 1; j >= 0; --j) order.push_back(j);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    for (int64_t i = o.retrieved(); i < n; ++i) scores[order[i]] = -INFINITY;
    return softmax(scores);
  }

  Row retrieved(int64_t t) const {
    Row u(v[t].size(), 0.0);
    const int64_t n = t / o.chunk;
    if (n == 0) return u;
    const Row p = chunk_weights(n), fq = features(o, q[t]);
    double den = o.eps;
    for (int64_t i = 0; i < n * o.chunk; ++i) {
      const double weight = p[i / o.chunk] * dot(fq, features(o, k[i])) /
                            (o.state_means() ? static_cast<double>(o.chunk) : 1.0);
      add_scaled(u, weight, v[i]);
      den += weight;
    }
    double factor = o.normalise ? 1 / den : scale();
    if (!gain.empty()) factor = 1 / std::sqrt(dot(u, u) / static_cast<double>(u.size()) + 1e-6);
    for (size_t i = 0; i < u.size(); ++i) u[i] *= factor * (gain.empty() ? 1 : gain[i]);
    return u;
  }

  Row operator()(int64_t t) const {
    Row y = attend(t);
    if (o.retrieved() > 0) add_scaled(y, gate, retrieved(t));
    return y;
  }
};

}  // namespace

std::vector<double> DenseBsbr::operator()(const std::vector<double>& x, int64_t batch, int64_t tokens) const {
  const int64_t d = width / n_head;
  std::vector<double> y;
  for (int64_t b = 0; b < batch; ++b) {
    Rows rows, merged(tokens);
    for (int64_t t = 0; t < tokens; ++t) {
      const auto begin = x.begin() + (b * tokens + t) * width;
      rows.emplace_back(begin, begin + width);
    }
    for (int64_t head = 0; head < n_head; ++head) {
      const auto projected = [&](const std::string& name) {
        const auto weight = values.find(name + ".weight");
        return weight == values.end() ? Rows{} : project(rows, weight->second, n_head, head);
      };
      Head one{options, projected("q"), projected("k"), projected("v"), projected("r"), projected("h"), {},
               1};
      if (values.contains("gate")) one.gate = values.at("gate")[head];
      if (values.contains("read_gain")) {
        const auto gain = values.at("read_gain").begin() + head * d;
        one.gain.assign(gain, gain + d);
      }
      for (int64_t t = 0; t < tokens; ++t) {
        const Row out = one(t);
        merged[t].insert(merged[t].end(), out.begin(), out.end());
      }
    }
    for (const Row& row : project(merged, values.at("out.weight"), n_head, -1)) {
      y.insert(y.end(), row.begin(), row.end());
    }
  }
  return y;
}

}  // namespace tapestry::test
