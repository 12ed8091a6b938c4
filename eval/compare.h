#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/token_source.h"
#include "eval/agreement.h"
#include "layers/language_model.h"

namespace tapestry {

/// What is measured of every token, in the order of a row's numbers. Behind them come cosine and MSE of the
/// hidden states: the residual stream before each block and after the last.
enum class Measure { logit_cosine, logit_mse, kl, top1, top5, top10, nll_a, nll_b };
inline constexpr int64_t kMeasures = 8;

/// Two models on the same windows of tokens.
class Comparison {
 public:
  /// Room for `layers` hidden states; none if the models are not built alike.
  Comparison(int64_t seq_len, int64_t layers);

  int64_t windows() const { return static_cast<int64_t>(windows_.size()); }
  int64_t seq_len() const { return seq_len_; }
  int64_t layers() const { return layers_; }

  /// Over all windows; the error is that of the windows' means, since tokens of a window depend on each
  /// other.
  Estimate of(Measure measure) const { return column(static_cast<int64_t>(measure)); }
  Estimate hidden_cosine(int64_t layer) const { return column(kMeasures + 2 * layer); }
  Estimate hidden_mse(int64_t layer) const { return column(kMeasures + 2 * layer + 1); }
  /// exp(mean NLL) with its error to first order.
  Estimate perplexity_a() const { return perplexity(Measure::nll_a); }
  Estimate perplexity_b() const { return perplexity(Measure::nll_b); }
  /// Perplexity of b in that of a; its error is that of the difference, window by window.
  Estimate perplexity_ratio() const;

  /// Means over positions [begin, end) of the windows.
  double of(Measure measure, int64_t begin, int64_t end) const {
    return column(static_cast<int64_t>(measure), begin, end);
  }
  double hidden_cosine(int64_t layer, int64_t begin, int64_t end) const {
    return column(kMeasures + 2 * layer, begin, end);
  }

 private:
  friend class Comparer;
  int64_t width() const { return kMeasures + 2 * layers_; }
  void add_window(const std::vector<double>& rows);
  Estimate column(int64_t column) const;
  double column(int64_t column, int64_t begin, int64_t end) const;
  Estimate perplexity(Measure nll) const;

  int64_t seq_len_, layers_;
  std::vector<double> positions_;             // [seq_len, width], summed over the windows
  std::vector<std::vector<double>> windows_;  // the means of each, [width]
};

/// Runs both on `windows` windows of `seq_len` inputs and their targets, spread evenly over the text; on
/// fewer if it is shorter. `go_on` is told of each window done. Models with another vocabulary than the
/// other's, or a text that is too short, are an Error.
Comparison compare_models(const LanguageModel& a, const LanguageModel& b, const TokenSource& text,
                          int64_t seq_len, int64_t windows,
                          const std::function<void(const Comparison&)>& go_on = {});

}  // namespace tapestry
