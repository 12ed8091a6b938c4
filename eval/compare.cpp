#include "eval/compare.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/take_rows.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

/// Rows of logits in memory at a time: [rows, V] of both models.
constexpr int64_t kLogitRows = 64;

bool built_alike(const ModelOptions& a, const ModelOptions& b) {
  return a.n_layer == b.n_layer && a.n_embd == b.n_embd;
}

std::span<const float> row_of(const Tensor& x, int64_t row) {
  const int64_t width = x.shape()[-1];
  return {x.data<float>() + row * width, static_cast<size_t>(width)};
}

Tensor on_host(const Tensor& x) { return x.to(Device::cpu()); }

}  // namespace

Comparison::Comparison(int64_t seq_len, int64_t layers)
    : seq_len_(seq_len), layers_(layers), positions_(seq_len * width(), 0.0) {}

void Comparison::add_window(const std::vector<double>& rows) {
  std::vector<double> means(width(), 0.0);
  for (size_t i = 0; i < rows.size(); ++i) {
    positions_[i] += rows[i];
    means[i % width()] += rows[i] / static_cast<double>(seq_len_);
  }
  windows_.push_back(std::move(means));
}

Estimate Comparison::column(int64_t column) const {
  std::vector<double> values;
  for (const auto& window : windows_) values.push_back(window[column]);
  return estimate(values);
}

double Comparison::column(int64_t column, int64_t begin, int64_t end) const {
  double sum = 0;
  for (int64_t t = begin; t < end; ++t) sum += positions_[t * width() + column];
  return sum / static_cast<double>((end - begin) * windows());
}

Estimate Comparison::perplexity(Measure nll) const {
  const Estimate mean = of(nll);
  return {std::exp(mean.mean), std::exp(mean.mean) * mean.error};
}

Estimate Comparison::perplexity_ratio() const {
  std::vector<double> differences;
  for (const auto& window : windows_)
    differences.push_back(window[static_cast<int64_t>(Measure::nll_b)] -
                          window[static_cast<int64_t>(Measure::nll_a)]);
  const Estimate difference = estimate(differences);
  return {std::exp(difference.mean), std::exp(difference.mean) * difference.error};
}

/// Fills a comparison window by window.
class Comparer {
 public:
  Comparer(const LanguageModel& a, const LanguageModel& b, int64_t seq_len)
      : a_(a), b_(b), found_(seq_len, built_alike(a.options(), b.options()) ? a.options().n_layer + 1 : 0) {}

  /// The window's inputs and the token behind the last.
  void add(const std::vector<int32_t>& tokens) {
    const int64_t length = found_.seq_len();
    const Tensor inputs = Tensor::from(std::vector<int32_t>(tokens.begin(), tokens.end() - 1), {1, length});
    const std::vector<Tensor> a = a_.hidden_states(inputs), b = b_.hidden_states(inputs);
    rows_.assign(length * found_.width(), 0.0);
    for (int64_t layer = 0; layer < found_.layers(); ++layer)
      add_hidden(on_host(a[layer]), on_host(b[layer]), layer);
    const Tensor last_a = a_.final_norm(a.back()), last_b = b_.final_norm(b.back());
    for (int64_t begin = 0; begin < length; begin += kLogitRows) {
      const int64_t rows = std::min(kLogitRows, length - begin);
      add_logits(on_host(a_.logits_of(take_rows(last_a, begin, 1, rows))),
                 on_host(b_.logits_of(take_rows(last_b, begin, 1, rows))), &tokens[begin + 1], begin, rows);
    }
    found_.add_window(rows_);
  }
  Comparison& found() { return found_; }

 private:
  double* row(int64_t position) { return &rows_[position * found_.width()]; }

  void add_hidden(const Tensor& a, const Tensor& b, int64_t layer) {
    parallel_for(found_.seq_len(), 16, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const VectorAgreement agreement = compare_vectors(row_of(a, t), row_of(b, t));
        row(t)[kMeasures + 2 * layer] = agreement.cosine;
        row(t)[kMeasures + 2 * layer + 1] = agreement.mse;
      }
    });
  }

  void add_logits(const Tensor& a, const Tensor& b, const int32_t* targets, int64_t first, int64_t count) {
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const LogitAgreement found = compare_logits(row_of(a, t), row_of(b, t), targets[t]);
        const double values[kMeasures] = {found.logits.cosine, found.logits.mse, found.kl,    found.top1,
                                          found.top5,          found.top10,      found.nll_a, found.nll_b};
        std::copy_n(values, kMeasures, row(first + t));
      }
    });
  }

  const LanguageModel &a_, &b_;
  Comparison found_;
  std::vector<double> rows_;  // of one window, [seq_len, width]
};

Comparison compare_models(const LanguageModel& a, const LanguageModel& b, const TokenSource& text,
                          int64_t seq_len, int64_t windows,
                          const std::function<void(const Comparison&)>& go_on) {
  check(a.options().vocab_size == b.options().vocab_size, Exit::input, "one model has a vocabulary of ",
        a.options().vocab_size, " tokens, the other of ", b.options().vocab_size,
        ": their predictions cannot be compared");
  const int64_t room = (text.size() - 1) / seq_len;
  check(room >= 1, Exit::input, text.name(), ": ", text.size(), " tokens, a window takes ", seq_len + 1,
        "; a smaller --seq-len takes fewer");
  const int64_t count = std::min(windows, room);
  Comparer comparer(a, b, seq_len);
  std::vector<int32_t> tokens(seq_len + 1);
  for (int64_t window = 0; window < count; ++window) {
    text.read(window * room / count * seq_len, seq_len + 1, tokens.data());
    comparer.add(tokens);
    if (go_on) go_on(comparer.found());
  }
  return comparer.found();
}

}  // namespace tapestry
