#include "eval/attention_map.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "autograd/ops/chunk_mean.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/softmax.h"
#include "autograd/ops/softmax_attention.h"
#include "autograd/ops/take_rows.h"
#include "autograd/ops/unary.h"
#include "layers/attention/bsbr_options.h"
#include "layers/attention/linear_attention.h"
#include "layers/attention/sliding_window.h"
#include "layers/attention/standard.h"

namespace tapestry {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One head of a layer at work on one sequence, in float64.
class HeadAtWork {
 public:
  HeadAtWork(const LanguageModel& model, const Tensor& x, int64_t layer, int64_t head)
      : options_(model.options()), head_(head) {
    const std::string prefix = join("blocks.", layer, ".");
    for (const auto& [name, parameter] : model.parameters())
      if (name.starts_with(prefix)) parameters_[name.substr(prefix.size())] = parameter.value();
    x_ = layer_norm(x.to(Device::cpu()).to(DType::float64), parameter("norm_1.weight"),
                    parameter("norm_1.bias"), options_.norm_eps);
  }

  int64_t index() const { return head_; }
  int64_t n_head() const { return options_.n_head; }
  int64_t tokens() const { return x_.dim(1); }
  int64_t head_width() const { return options_.n_embd / options_.n_head; }
  double scale(double given) const { return given != 0 ? given : 1 / std::sqrt(double(head_width())); }

  bool has(const std::string& projection) const {
    return parameters_.contains("attention." + projection + ".weight");
  }
  /// The head's part of a projection of the layer's input, [1, T, d].
  Tensor project(const std::string& projection) const { return project(projection, x_); }
  Tensor project(const std::string& projection, const Tensor& x) const {
    return linear(x, own_columns("attention." + projection + ".weight"),
                  own_columns("attention." + projection + ".bias"));
  }
  const Tensor& input() const { return x_; }
  bool rotary_positions() const { return options_.positions == "rotary"; }
  Tensor positioned(const Tensor& x) const { return rotary_positions() ? rotary(x, 1) : x; }
  /// In float64; undefined if the layer has none of the name.
  Tensor parameter(const std::string& name) const {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? Tensor() : found->second.to(Device::cpu()).to(DType::float64);
  }
  /// The head's number in a parameter [H], or `otherwise` if the layer has none of the name.
  double number(const std::string& name, double otherwise) const {
    const Tensor numbers = parameter(name);
    return numbers.defined() ? numbers.data<double>()[head_] : otherwise;
  }

 private:
  /// The columns of a weight [C, C] or bias [C] that make this head's outputs.
  Tensor own_columns(const std::string& name) const {
    const Tensor whole = parameter(name);
    if (!whole.defined()) return whole;
    const int64_t d = head_width(), rows = whole.shape().rows();
    const Eigen::Map<const Matrix> all(whole.data<double>(), rows, n_head() * d);
    const Matrix own = all.middleCols(head_ * d, d);
    return Tensor::from(std::vector<double>(own.data(), own.data() + own.size()), whole.shape().with_last(d));
  }

  ModelOptions options_;
  int64_t head_;
  std::map<std::string, Tensor> parameters_;
  Tensor x_;
};

/// The rows of x [1, rows, d].
Eigen::Map<const Matrix> rows_of(const Tensor& x) { return {x.data<double>(), x.dim(1), x.dim(2)}; }

Matrix products(const Tensor& a, const Tensor& b) { return rows_of(a) * rows_of(b).transpose(); }

bool sees(const Visible& visible, int64_t t, int64_t i) {
  return i <= t && (i >= visible.first(t) || i < visible.sink);
}

/// The softmax of row t over the columns that are `read`.
template <class Read>
void softmax_row(const Matrix& scores, int64_t t, const Read& read, Matrix& weights) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t i = 0; i <= t; ++i)
    if (read(i)) largest = std::max(largest, scores(t, i));
  for (int64_t i = 0; i <= t; ++i) sum += weights(t, i) = read(i) ? std::exp(scores(t, i) - largest) : 0;
  weights.row(t) /= sum;
}

Matrix softmax_map(const HeadAtWork& head, double scale, const Visible& visible) {
  const Tensor q = head.positioned(head.project("q")), k = head.positioned(head.project("k"));
  const Matrix scores = scale * products(q, k);
  Matrix weights = Matrix::Zero(head.tokens(), head.tokens());
  for (int64_t t = 0; t < head.tokens(); ++t)
    softmax_row(
        scores, t, [&](int64_t i) { return sees(visible, t, i); }, weights);
  return weights;
}

/// The `count` places in [begin, end) with the largest score, ties to the later.
std::vector<int64_t> best(const Eigen::Ref<const Eigen::VectorXd>& scores, int64_t begin, int64_t end,
                          int64_t count) {
  std::vector<int64_t> places(static_cast<size_t>(std::max<int64_t>(end - begin, 0)));
  std::iota(places.begin(), places.end(), begin);
  const auto key = [&](int64_t j) { return scores[j] + kTieBreak * static_cast<double>(j); };
  std::sort(places.begin(), places.end(), [&](int64_t a, int64_t b) { return key(a) > key(b); });
  if (static_cast<int64_t>(places.size()) > count) places.resize(static_cast<size_t>(count));
  return places;
}

Tensor features(const Tensor& x, const std::string& map) {
  if (map == "elu1") return elu1(x);
  return map == "identity" ? x : tapestry::softmax(x);
}

Matrix feature_products(const HeadAtWork& head, const std::string& map) {
  return products(features(head.project("q"), map), features(head.project("k"), map));
}

/// Adds the weights of the tokens that the states hold of which token t reads (ATTENTION section 7.1 in its
/// dense form).
void add_states(const HeadAtWork& head, const BsbrOptions& options, Matrix& weights) {
  check(options.compression == 0 && options.read_norm == "none", Exit::usage,
        "bsbr with compression or read_norm has no token weights");
  const int64_t tokens = head.tokens(), c = options.chunk, finished = finished_chunks(tokens, c);
  const Tensor r = head.project("r"), h = take_rows(head.project("h"), c - 1, c, finished);
  const Matrix reads = head.scale(0) * products(r, h);  // [T, N], of which the chunks' first rows ask
  const Matrix scores = feature_products(head, options.feature_map);
  const double gate = head.number("attention.gate", 1);
  const double factor = options.state_means() ? 1.0 / static_cast<double>(c) : 1;
  for (int64_t t = c; t < tokens; ++t) {
    const int64_t n = t / c;
    const Eigen::VectorXd asked = reads.row(n * c).head(n).transpose();
    const std::vector<int64_t> chosen = best(asked, 0, n, options.retrieved());
    const double largest = asked(chosen).maxCoeff();
    const double sum = (asked(chosen).array() - largest).exp().sum();
    Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(tokens);
    for (const int64_t j : chosen)
      row.segment(j * c, c) = std::exp(asked[j] - largest) / sum * factor * scores.row(t).segment(j * c, c);
    const double den = row.sum() + options.eps;
    if (options.normalise && den == 0) continue;
    weights.row(t) += gate * (options.normalise ? 1 / den : head.scale(0)) * row;
  }
}

Matrix state_map(const HeadAtWork& head, const BsbrOptions& options) {
  Matrix weights = softmax_map(head, head.scale(0), options.visible());
  if (finished_chunks(head.tokens(), options.chunk) > 0 && options.retrieved() > 0)
    add_states(head, options, weights);
  return weights;
}

/// The blocks among which token t chooses: finished chunks' blocks from the first to the last that it does
/// not see whole anyway, [begin, end).
std::pair<int64_t, int64_t> eligible_blocks(const BsbrOptions& options, const Visible& local, int64_t t) {
  const int64_t c = options.chunk, b = options.block_size();
  int64_t begin = 0, end = 0;
  for (int64_t j = 0; j < t / c * c / b; ++j) {
    bool whole = true;
    for (int64_t i = j * b; i < (j + 1) * b; ++i) whole = whole && sees(local, t, i);
    if (whole) continue;
    if (end == 0) begin = j;
    end = j + 1;
  }
  return {begin, end};
}

double log_mean_exp(const Eigen::RowVectorXd& x) {
  const double largest = x.maxCoeff();
  return largest + std::log((x.array() - largest).exp().mean());
}

/// Scores of retrieved tokens, [T, T]: those of all tokens, or at the distance of the local part's edge.
Matrix remote_scores(const HeadAtWork& head, const BsbrOptions& options) {
  const Tensor q = head.project("q"), k = head.project("k");
  const bool at_edge = head.rotary_positions() && options.retrieved_positions == "edge";
  return head.scale(0) * (at_edge ? products(rotary_at(q, 1, options.edge()), k)
                                  : products(head.positioned(q), head.positioned(k)));
}

/// Scores of blocks, [T, N].
Matrix block_scores(const HeadAtWork& head, int64_t block) {
  const Tensor r = head.project(head.has("r") ? "r" : "q");
  const Tensor h = head.has("h") ? head.project("h", chunk_mean(head.input(), block))
                                 : chunk_mean(head.project("k"), block);
  return head.scale(0) * products(r, h);
}

/// ATTENTION section 7.6 and docs/bsbr-tokens.md.
Matrix token_map(const HeadAtWork& head, const BsbrOptions& options) {
  const int64_t tokens = head.tokens(), b = options.block_size(), finished = finished_chunks(tokens, b);
  const Visible local = options.visible();
  const bool retrieves = head.index() >= head.n_head() - options.retrieving(head.n_head());
  if (!retrieves || finished == 0 || options.retrieved() == 0) return softmax_map(head, head.scale(0), local);
  Matrix scores =
      head.scale(0) * products(head.positioned(head.project("q")), head.positioned(head.project("k")));
  const Matrix remote = remote_scores(head, options), blocks = block_scores(head, b);
  const double bias = options.score_bias == "off" ? 0 : head.number("attention.score_gain", 1);
  Matrix weights = Matrix::Zero(tokens, tokens);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<char> read(static_cast<size_t>(tokens), 0);
    for (int64_t i = 0; i <= t; ++i) read[i] = sees(local, t, i);
    const auto [begin, end] = eligible_blocks(options, local, t);
    for (const int64_t j : best(blocks.row(t).transpose(), begin, end, options.retrieved())) {
      std::vector<int64_t> keys;
      for (int64_t i = j * b; i < (j + 1) * b; ++i)
        if (!sees(local, t, i)) keys.push_back(i);
      const double mean = options.hierarchical() ? log_mean_exp(remote(t, keys)) : 0;
      for (const int64_t i : keys) scores(t, i) = remote(t, i) - mean + bias * blocks(t, j), read[i] = 1;
    }
    softmax_row(
        scores, t, [&](int64_t i) { return read[i] != 0; }, weights);
  }
  return weights;
}

/// ATTENTION section 3.
Matrix linear_map(const HeadAtWork& head, const LinearAttentionOptions& options) {
  Matrix weights = feature_products(head, options.feature_map);
  for (int64_t t = 0; t < head.tokens(); ++t) {
    weights.row(t).tail(head.tokens() - 1 - t).setZero();
    weights.row(t) *=
        options.normalise ? 1 / (weights.row(t).sum() + options.eps) : head.scale(options.scale);
  }
  return weights;
}

Matrix map_of(const HeadAtWork& head, const std::string& attention, const Config& config, int64_t layer) {
  if (attention == "standard")
    return softmax_map(head, head.scale(config.get(standard_options(), layer).scale), {});
  if (attention == "sliding_window") {
    const auto options = config.get(sliding_window_options(), layer);
    const Visible visible{.reach = std::min(options.window - 1, Visible::everything), .sink = options.sink};
    return softmax_map(head, head.scale(options.scale), visible);
  }
  if (attention == "linear") return linear_map(head, config.get(linear_attention_options(), layer));
  if (attention == "bsbr") {
    const auto options = config.get(bsbr_options(), layer);
    return options.reads_tokens() ? token_map(head, options) : state_map(head, options);
  }
  fail(Exit::usage, "layer ", layer, " is ", attention,
       ", whose output is no weighted sum of values: there is no map of it");
}

}  // namespace

double AttentionMap::density(double threshold) const {
  int64_t above = 0;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i <= t; ++i) above += std::abs(at(t, i)) > threshold ? 1 : 0;
  return static_cast<double>(above) / (static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2);
}

AttentionMap attention_map(const LanguageModel& model, const Config& config, const Tensor& x, int64_t layer,
                           int64_t head) {
  const HeadAtWork at_work(model, x, layer, head);
  const Matrix weights = map_of(at_work, model.options().attention_of(layer), config, layer);
  return {at_work.tokens(), {weights.data(), weights.data() + weights.size()}};
}

}  // namespace tapestry
