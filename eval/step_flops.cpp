#include "eval/step_flops.h"

#include <algorithm>

#include "autograd/ops/chunks.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "layers/attention/attention.h"
#include "layers/attention/bsbr_options.h"

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
void add_output(std::vector<Gemm>& products, Device device, int64_t rows, int64_t v, int64_t c,
                bool training) {
  const int64_t block = logit_rows<float>(device, rows, v);
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

}  // namespace

std::vector<Gemm> linear_products(const LanguageModel& model, const Config& config, const StepShape& shape) {
  std::vector<Gemm> products;
  const ModelOptions& options = model.options();
  const std::string output = options.tie_embeddings ? "embedding.weight" : "output.weight";
  for (const auto& [name, parameter] : model.parameters()) {
    const Shape& weight = parameter.shape();
    if (name == output) {
      add_output(products, model.context().device, shape.tokens(), weight[0], weight[1], shape.training);
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

double attention_flops(const ModelOptions& model, const Config& config, const StepShape& shape) {
  const CoreShape core{shape.seq_len, model.n_embd, model.n_head};
  double flops = 0;
  for (int64_t layer = 0; layer < model.n_layer; ++layer)
    flops += attention_kind(model.attention_of(layer)).cost(core, config, layer).flops;
  return flops * static_cast<double>(shape.batch_size) * (shape.training ? 3 : 1);
}

}  // namespace tapestry
