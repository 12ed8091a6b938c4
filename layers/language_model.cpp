#include "layers/language_model.h"

#include "autograd/ops/binary.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/take_rows.h"
#include "autograd/recompute.h"
#include "layers/positions.h"

namespace tapestry {
namespace {

const ModelOptions& checked(const ModelOptions& options) {
  check_model_options(options);
  return options;
}

}  // namespace

LanguageModel::LanguageModel(const ModelOptions& options, const Config& config, ModuleContext context)
    : Module(context),
      options_(checked(options)),
      embedding_(*this, "embedding", options.vocab_size, options.n_embd),
      positions_(learned_positions()),
      blocks_(make_blocks(config)),
      final_norm_(*this, "final_norm", options.n_embd, options.bias, options.norm_eps),
      output_(own_output()) {}

Parameter LanguageModel::learned_positions() {
  if (options_.positions != "learned") return {};
  return add_parameter("positions.weight", {options_.n_ctx, options_.n_embd}, Init::normal(0.02));
}

std::vector<std::unique_ptr<Block>> LanguageModel::make_blocks(const Config& config) {
  std::vector<std::unique_ptr<Block>> blocks;
  for (int64_t layer = 0; layer < options_.n_layer; ++layer) {
    blocks.push_back(std::make_unique<Block>(*this, options_, config, layer));
  }
  return blocks;
}

Parameter LanguageModel::own_output() {
  if (options_.tie_embeddings) return {};
  return add_parameter("output.weight", {options_.vocab_size, options_.n_embd}, Init::normal(0.02));
}

Tensor LanguageModel::embed(const Tensor& tokens) const {
  require(tokens.rank() == 2, "a language model takes tokens [B, T], got ", tokens.shape());
  const int64_t length = tokens.dim(1);
  Tensor x = embedding_(tokens);
  if (positions_.defined()) {
    check(length <= options_.n_ctx, Exit::usage, "a sequence of ", length,
          " tokens, but the model has learned ", options_.n_ctx, " positions (model.n_ctx)");
    x = add(x, take_rows(positions_, 0, 1, length));
  } else if (options_.positions == "sinusoidal") {
    x = add(x, sinusoidal_positions(length, options_.n_embd, x.dtype(), x.device()));
  }
  return dropout(x, options_.dropout);
}

Tensor LanguageModel::run_block(const Block& block, const Tensor& x) const {
  return recompute_ ? recompute(block, x) : block(x);
}

Tensor LanguageModel::final_hidden(const Tensor& tokens) const {
  Tensor x = embed(tokens);
  for (const auto& block : blocks_) x = run_block(*block, x);
  return final_norm_(x);
}

std::vector<Tensor> LanguageModel::hidden_states(const Tensor& tokens) const {
  std::vector<Tensor> states = {embed(tokens)};
  for (const auto& block : blocks_) states.push_back(run_block(*block, states.back()));
  return states;
}

Tensor LanguageModel::loss(const Tensor& tokens, const Tensor& targets) const {
  return linear_cross_entropy(final_hidden(tokens), output_weight(), targets);
}

Tensor LanguageModel::token_nll(const Tensor& tokens, const Tensor& targets) const {
  return tapestry::token_nll(final_hidden(tokens), output_weight(), targets);
}

Tensor LanguageModel::logits(const Tensor& tokens) const { return logits_of(final_hidden(tokens)); }

Tensor LanguageModel::next_logits(const Tensor& tokens) const {
  const Tensor last = take_rows(final_hidden(tokens), tokens.dim(1) - 1, 1, 1);
  return logits_of(last).reshape({tokens.dim(0), options_.vocab_size});
}

}  // namespace tapestry
