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

/// One layer at work on one sequence, in float64.
class LayerAtWork {
 public:
  LayerAtWork(const LanguageModel& model, const Tensor& x, int64_t layer)
      : options_(model.options()), prefix_(join("blocks.", layer, ".")) {
    for (const auto& [name, parameter] : model.parameters())
      if (name.starts_with(prefix_))
        parameters_[name.substr(prefix_.size())] = parameter.value().to(Device::cpu());
    x_ = layer_norm(x.to(Device::cpu()).to(DType::float64), parameter("norm_1.weight"),
                    parameter("norm_1.bias"), options_.norm_eps);
  }

  int64_t tokens() const { return x_.dim(1); }
  int64_t n_head() const { return options_.n_head; }
  int64_t head_width() const { return options_.n_embd / options_.n_head; }
  double scale(double given) const { return given != 0 ? given : 1 / std::sqrt(double(head_width())); }

  bool has(const std::string& projection) const {
    return parameters_.contains("attention." + projection + ".weight");
  }
  /// A projection of the layer's input, [1, T, C].
  Tensor project(const std::string& projection) const { return project(projection, x_); }
  Tensor project(const std::string& projection, const Tensor& x) const {
    return linear(x, parameter("attention." + projection + ".weight"),
                  parameter("attention." + projection + ".bias"));
  }
  const Tensor& input() const { return x_; }
  bool rotary_positions() const { return options_.positions == "rotary"; }
  Tensor positioned(const Tensor& x) const { return rotary_positions() ? rotary(x, options_.n_head) : x; }
  /// In float64; undefined if the layer has none of the name.
  Tensor parameter(const std::string& name) const {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? Tensor() : found->second.to(DType::float64);
  }

  /// The rows of one head, [rows, d].
  Matrix head(const Tensor& x, int64_t head) const {
    const Eigen::Map<const Matrix> all(x.data<double>(), x.dim(1), x.dim(2));
    return all.middleCols(head * head_width(), head_width());
  }
  Matrix products(const Tensor& a, const Tensor& b, int64_t at) const {
    return head(a, at) * head(b, at).transpose();
  }

 private:
  ModelOptions options_;
  std::string prefix_;
  std::map<std::string, Tensor> parameters_;
  Tensor x_;
};

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

Matrix softmax_map(const LayerAtWork& layer, int64_t head, double scale, const Visible& visible) {
  const Tensor q = layer.positioned(layer.project("q")), k = layer.positioned(layer.project("k"));
  const Matrix scores = scale * layer.products(q, k, head);
  Matrix weights = Matrix::Zero(layer.tokens(), layer.tokens());
  for (int64_t t = 0; t < layer.tokens(); ++t)
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

Tensor features(const LayerAtWork& layer, const Tensor& x, const std::string& map) {
  if (map == "elu1") return elu1(x);
  if (map == "identity") return x;
  return tapestry::softmax(x.reshape({x.dim(0), x.dim(1), layer.n_head(), layer.head_width()}))
      .reshape(x.shape());
}

/// Adds what is read of states to the weights of head `head` (ATTENTION section 7.1 in its dense form): the
/// weights of the tokens that they hold. r [T, d] of every token, of which the chunks' first ones ask; h [N,
/// d].
void add_states(const LayerAtWork& layer, int64_t head, const BsbrOptions& options, const Matrix& r,
                const Matrix& h, int64_t topk, Matrix& weights) {
  check(options.compression == 0 && options.read_norm == "none", Exit::usage,
        "bsbr with compression or read_norm has no token weights");
  const int64_t tokens = layer.tokens(), c = options.chunk;
  const Matrix products = layer.products(features(layer, layer.project("q"), options.feature_map),
                                         features(layer, layer.project("k"), options.feature_map), head);
  const Tensor gates = layer.parameter("attention.gate");
  const double gate = gates.defined() ? gates.data<double>()[head] : 1;
  const double factor = options.state_means() ? 1.0 / static_cast<double>(c) : 1;
  for (int64_t t = c; t < tokens; ++t) {
    const int64_t n = t / c;
    const Eigen::VectorXd scores = layer.scale(0) * h.topRows(n) * r.row(n * c).transpose();
    const std::vector<int64_t> chosen = best(scores, 0, n, topk);
    double largest = scores[chosen[0]], sum = 0;
    for (const int64_t j : chosen) largest = std::max(largest, scores[j]);
    for (const int64_t j : chosen) sum += std::exp(scores[j] - largest);
    Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(tokens);
    for (const int64_t j : chosen)
      row.segment(j * c, c) =
          std::exp(scores[j] - largest) / sum * factor * products.row(t).segment(j * c, c);
    const double den = row.sum() + options.eps;
    if (options.normalise && den == 0) continue;
    weights.row(t) += gate * (options.normalise ? 1 / den : layer.scale(0)) * row;
  }
}

double log_mean_exp(const Eigen::RowVectorXd& x) {
  const double largest = x.maxCoeff();
  return largest + std::log((x.array() - largest).exp().mean());
}

/// ATTENTION section 7.6 and docs/bsbr-tokens.md.
Matrix token_map(const LayerAtWork& layer, int64_t head, const BsbrOptions& options) {
  const int64_t tokens = layer.tokens(), c = options.chunk, b = options.block_size();
  const int64_t finished = finished_chunks(tokens, b);
  const Visible local = options.visible();
  const bool retrieves = head >= layer.n_head() - options.retrieving(layer.n_head());
  const int64_t topk = retrieves ? options.retrieved() : 0;
  if (finished == 0 || topk == 0) return softmax_map(layer, head, layer.scale(0), local);
  const Tensor q = layer.project("q"), k = layer.project("k");
  const bool at_edge = layer.rotary_positions() && options.retrieved_positions == "edge";
  const Tensor r = layer.has("r") ? layer.project("r") : q;
  const Tensor h = layer.has("h") ? layer.project("h", chunk_mean(layer.input(), b)) : chunk_mean(k, b);
  const Matrix block_scores = layer.scale(0) * layer.products(r, h, head);  // [T, N]
  Matrix scores = layer.scale(0) * layer.products(layer.positioned(q), layer.positioned(k), head);
  Matrix remote = scores;
  if (at_edge)
    remote = layer.scale(0) * layer.products(rotary_at(q, layer.n_head(), options.edge()), k, head);
  const Tensor gain = layer.parameter("attention.score_gain");
  const double bias = options.score_bias == "off" ? 0 : (gain.defined() ? gain.data<double>()[head] : 1);
  Matrix weights = Matrix::Zero(tokens, tokens);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<char> retrieved(static_cast<size_t>(finished), 0);
    int64_t begin = 0, end = 0;
    for (int64_t j = 0; j < t / c * c / b; ++j) {
      bool whole = true;
      for (int64_t i = j * b; i < (j + 1) * b; ++i) whole = whole && sees(local, t, i);
      if (whole) continue;
      if (end == 0) begin = j;
      end = j + 1;
    }
    const Eigen::VectorXd row = block_scores.row(t).transpose();
    for (const int64_t j : best(row, begin, end, topk)) {
      retrieved[static_cast<size_t>(j)] = 1;
      std::vector<int64_t> keys;
      for (int64_t i = j * b; i < (j + 1) * b; ++i)
        if (!sees(local, t, i)) keys.push_back(i);
      const double mean = options.hierarchical() ? log_mean_exp(remote(t, keys)) : 0;
      for (const int64_t i : keys) scores(t, i) = remote(t, i) - mean + bias * row[j];
    }
    const auto read = [&](int64_t i) {
      return sees(local, t, i) || (i / b < finished && retrieved[static_cast<size_t>(i / b)]);
    };
    softmax_row(scores, t, read, weights);
  }
  return weights;
}

Matrix state_map(const LayerAtWork& layer, int64_t head, const BsbrOptions& options) {
  const int64_t c = options.chunk, finished = finished_chunks(layer.tokens(), c);
  Matrix weights = softmax_map(layer, head, layer.scale(0), options.visible());
  if (finished == 0 || options.retrieved() == 0) return weights;
  const Tensor h = take_rows(layer.project("h"), c - 1, c, finished);
  add_states(layer, head, options, layer.head(layer.project("r"), head), layer.head(h, head),
             options.retrieved(), weights);
  return weights;
}

/// ATTENTION section 3.
Matrix linear_map(const LayerAtWork& layer, int64_t head, const LinearAttentionOptions& options) {
  Matrix weights = layer.products(features(layer, layer.project("q"), options.feature_map),
                                  features(layer, layer.project("k"), options.feature_map), head);
  for (int64_t t = 0; t < layer.tokens(); ++t) {
    weights.row(t).tail(layer.tokens() - 1 - t).setZero();
    weights.row(t) *=
        options.normalise ? 1 / (weights.row(t).sum() + options.eps) : layer.scale(options.scale);
  }
  return weights;
}

Matrix map_of(const LayerAtWork& at_work, const std::string& attention, const Config& config, int64_t layer,
              int64_t head) {
  if (attention == "standard")
    return softmax_map(at_work, head, at_work.scale(config.get(standard_options(), layer).scale), {});
  if (attention == "sliding_window") {
    const auto options = config.get(sliding_window_options(), layer);
    const Visible visible{.reach = std::min(options.window - 1, Visible::everything), .sink = options.sink};
    return softmax_map(at_work, head, at_work.scale(options.scale), visible);
  }
  if (attention == "linear") return linear_map(at_work, head, config.get(linear_attention_options(), layer));
  if (attention == "bsbr") {
    const auto options = config.get(bsbr_options(), layer);
    return options.reads_tokens() ? token_map(at_work, head, options) : state_map(at_work, head, options);
  }
  fail(Exit::usage, "layer ", layer, " is ", attention,
       ", whose output is no weighted sum of values: there is no map of it");
}

}  // namespace

double AttentionMaps::density(int64_t head, double threshold) const {
  int64_t above = 0;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i <= t; ++i) above += std::abs(at(head, t, i)) > threshold ? 1 : 0;
  return static_cast<double>(above) / (static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2);
}

AttentionMaps attention_maps(const LanguageModel& model, const Config& config, const Tensor& x,
                             int64_t layer) {
  const LayerAtWork at_work(model, x, layer);
  AttentionMaps maps{at_work.n_head(), at_work.tokens(), {}};
  for (int64_t head = 0; head < maps.n_head; ++head) {
    const Matrix weights = map_of(at_work, model.options().attention_of(layer), config, layer, head);
    maps.weights.insert(maps.weights.end(), weights.data(), weights.data() + weights.size());
  }
  return maps;
}

}  // namespace tapestry
