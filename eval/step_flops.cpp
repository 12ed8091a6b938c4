#include "eval/step_flops.h"

#include <algorithm>

#include "autograd/ops/chunks.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "layers/attention/bsbr_options.h"
#include "layers/attention/delta_net.h"
#include "layers/attention/gau.h"
#include "layers/attention/hopfield.h"
#include "layers/attention/linear_attention.h"
#include "layers/attention/sliding_window.h"

namespace tapestry {
namespace {

/// x W with x [rows, k] and W [k, n].
void add_linear(std::vector<Gemm>& products, int64_t rows, int64_t k, int64_t n, bool training) {
  if (rows == 0) return;
  products.push_back({.m = rows, .n = n, .k = k});
  if (!training) return;
  products.push_back({.m = rows, .n = k, .k = n, .transpose_b = true});
  products.push_back({.m = k, .n = n, .k = rows, .transpose_a = true});
}

/// x W^T with W [v, c], in the blocks of rows of linear_cross_entropy.
void add_output(std::vector<Gemm>& products, int64_t rows, int64_t v, int64_t c, bool training) {
  const int64_t block = cpu::logit_rows<float>(rows, v);
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    products.push_back({.m = count, .n = v, .k = c, .transpose_b = true});
    if (!training) continue;
    products.push_back({.m = count, .n = c, .k = v});
    products.push_back({.m = v, .n = c, .k = count, .transpose_a = true, .beta = first > 0 ? 1.0 : 0.0});
  }
}

int64_t layer_of(const std::string& name) {
  return name.starts_with("blocks.") ? std::stoll(name.substr(name.find('.') + 1)) : -1;
}

/// Rows that a linear layer sees: all tokens, but for what BSBR retrieves chunks by.
int64_t rows_of(const std::string& name, const ModelOptions& model, const Config& config,
                const StepShape& shape) {
  const int64_t layer = layer_of(name);
  if (layer < 0 || model.attention_of(layer) != "bsbr") return shape.tokens();
  const BsbrOptions options = config.get(bsbr_options(), layer);
  const bool h = name.ends_with(".attention.h.weight"), r = name.ends_with(".attention.r.weight");
  const auto pieces = [&](int64_t size) { return shape.batch_size * finished_chunks(shape.seq_len, size); };
  if (!options.reads_tokens()) return h || r ? pieces(options.chunk) : shape.tokens();
  if (!h) return shape.tokens();
  return pieces(options.block_size());
}

/// The cost of one layer's core on one sequence, forward (ATTENTION sections 7.6 and 9).
struct CoreCost {
  double T, C;
  int64_t n_head;
  double d = C / static_cast<double>(n_head);

  double standard() const { return 2 * C * T * (T + 1); }
  double sliding_window(const SlidingWindowOptions& o) const {
    const double w = std::min<double>(o.window, T);
    return 4 * C * (T * w - w * (w - 1) / 2 + T * std::min<double>(o.sink, T));
  }
  double linear(const LinearAttentionOptions& o) const { return T * C * (4 * d + 2 * chunk(o.chunk)); }
  double delta_net(const DeltaNetOptions& o) const { return T * C * (6 * d + 4 * chunk(o.chunk)); }
  double hopfield(const HopfieldOptions& o) const { return static_cast<double>(o.steps) * standard(); }
  double gau(const GauOptions& o) const {
    const double e = o.e > 0 ? static_cast<double>(o.e) : 2 * C, s = static_cast<double>(o.s);
    return T * (chunk(o.chunk) * (s + e) + 4 * s * e);
  }
  double bsbr(const BsbrOptions& o) const {
    const double c = o.chunk, chunks = T / c;
    const double local = 4 * C * T * ((std::min(c, T) + 1) / 2 + std::min<double>(o.reach() + o.sink, T));
    if (o.retrieved() == 0) return local;
    if (o.reads_tokens()) {
      const double b = o.block_size(), topk = std::min<double>(o.retrieved(), T / b);
      const double width = static_cast<double>(o.retrieving(n_head)) * d;  // of the heads that retrieve
      return local + width * T * (T / b + 4 * topk * b);
    }
    const double m = o.compression, states = 4 * T * C * d;
    if (o.compression == 0) return local + states + chunks * chunks * (C + C * d);
    return local + states + chunks * chunks * (C + C / d * m) + 4 * chunks * C * d * m;
  }

 private:
  double chunk(int64_t c) const { return std::min<double>(c, T); }
};

std::optional<double> layer_flops(const std::string& attention, const Config& config, int64_t layer,
                                  const CoreCost& cost) {
  if (attention == "standard") return cost.standard();
  if (attention == "sliding_window") return cost.sliding_window(config.get(sliding_window_options(), layer));
  if (attention == "linear") return cost.linear(config.get(linear_attention_options(), layer));
  if (attention == "delta_net") return cost.delta_net(config.get(delta_net_options(), layer));
  if (attention == "hopfield") return cost.hopfield(config.get(hopfield_options(), layer));
  if (attention == "gau") return cost.gau(config.get(gau_options(), layer));
  if (attention == "bsbr") return cost.bsbr(config.get(bsbr_options(), layer));
  return std::nullopt;
}

}  // namespace

std::vector<Gemm> linear_products(const LanguageModel& model, const Config& config, const StepShape& shape) {
  std::vector<Gemm> products;
  const ModelOptions& options = model.options();
  const std::string output = options.tie_embeddings ? "embedding.weight" : "output.weight";
  for (const auto& [name, parameter] : model.parameters()) {
    const Shape& weight = parameter.shape();
    if (name == output) {
      add_output(products, shape.tokens(), weight[0], weight[1], shape.training);
    } else if (weight.rank() == 2 && layer_of(name) >= 0 && name.ends_with(".weight")) {
      add_linear(products, rows_of(name, options, config, shape), weight[0], weight[1], shape.training);
    }
  }
  return products;
}

double flops_of(const std::vector<Gemm>& products) {
  double flops = 0;
  for (const Gemm& product : products) flops += 2.0 * product.m * product.n * product.k;
  return flops;
}

std::optional<double> attention_flops(const ModelOptions& model, const Config& config,
                                      const StepShape& shape) {
  const CoreCost cost{double(shape.seq_len), double(model.n_embd), model.n_head};
  double flops = 0;
  for (int64_t layer = 0; layer < model.n_layer; ++layer) {
    const auto of_layer = layer_flops(model.attention_of(layer), config, layer, cost);
    if (!of_layer) return std::nullopt;
    flops += *of_layer;
  }
  return flops * shape.batch_size * (shape.training ? 3 : 1);
}

}  // namespace tapestry
