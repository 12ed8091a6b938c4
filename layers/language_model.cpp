#include "layers/language_model.h"

#include "autograd/ops/binary.h"
#include "autograd/ops/copy_rows.h"
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

Tensor LanguageModel::positions_from(int64_t first, int64_t count) const {
  if (options_.positions == "sinusoidal")
    return sinusoidal_positions(first, count, options_.n_embd, context().dtype, context().device);
  if (!positions_.defined()) return {};
  check(first + count <= options_.n_ctx, Exit::usage, "a sequence of ", first + count,
        " tokens, but the model has learned ", options_.n_ctx, " positions (model.n_ctx)");
  return take_rows(positions_, first, 1, count);
}

Tensor LanguageModel::embed(const Tensor& tokens) const {
  require(tokens.rank() == 2, "a language model takes tokens [B, T], got ", tokens.shape());
  const Tensor x = embedding_(tokens), p = positions_from(0, tokens.dim(1));
  return dropout(p.defined() ? add(x, p) : x, options_.dropout);
}

Tensor LanguageModel::run_block(const Block& block, const Tensor& x) const {
  return recompute_ ? recompute(block, x) : block(x);
}

Tensor LanguageModel::final_hidden(const Tensor& tokens) const {
  Tensor x = embed(tokens);
  for (const auto& block : blocks_) x = run_block(*block, x);
  return final_norm_(x);
}

Tensor LanguageModel::final_hidden(const Tensor& tokens, std::vector<Tensor>& attention) const {
  Tensor x = embed(tokens);
  attention.resize(blocks_.size());
  for (size_t layer = 0; layer < blocks_.size(); ++layer) x = blocks_[layer]->run(x, &attention[layer]);
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

Tensor LanguageModel::next_logits(const Tensor& tokens) const { return last_logits(final_hidden(tokens)); }

Tensor LanguageModel::last_logits(const Tensor& hidden) const {
  const Tensor last = take_rows(hidden, hidden.dim(1) - 1, 1, 1);
  return logits_of(last).reshape({hidden.dim(0), options_.vocab_size});
}

DecodingState LanguageModel::begin_decoding() const {
  std::vector<AttentionState> layers;
  for (const auto& block : blocks_) layers.push_back(block->attention().begin_state());
  return DecodingState(std::move(layers));
}

Tensor LanguageModel::extend(const Tensor& tokens, DecodingStates states) const {
  const int64_t batch = tokens.dim(0), count = tokens.dim(1);
  require(static_cast<int64_t>(states.size()) == batch, batch, " texts but ", states.size(), " states");
  Tensor x = embedding_(tokens);
  for (int64_t b = 0; b < batch; ++b) {
    const Tensor p = positions_from(states[b]->position(), count);
    if (!p.defined()) break;
    const Tensor rows = take_rows(x.reshape({1, batch * count, options_.n_embd}), b * count, 1, count);
    copy_rows(add(rows, p), 0, x, b * count, count);
  }
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    std::vector<AttentionState*> of_layer;
    for (DecodingState* state : states) of_layer.push_back(&state->layers().at(layer));
    x = blocks_[layer]->extend(x, of_layer);
  }
  return final_norm_(x);
}

Tensor LanguageModel::next_logits(const Tensor& tokens, DecodingStates states) const {
  return last_logits(extend(tokens, states));
}

}  // namespace tapestry
