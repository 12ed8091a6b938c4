#pragma once

#include <memory>
#include <vector>

#include "autograd/ops/linear_cross_entropy.h"
#include "layers/block.h"
#include "layers/decoding_state.h"
#include "layers/embedding.h"
#include "layers/model_options.h"

namespace tapestry {

/// A decoder-only transformer: token embedding, positions, blocks, final norm, output projection. Tokens and
/// targets may lie on the host or on the model's device, where everything else is.
class LanguageModel : public Module {
 public:
  /// `config` holds the options of the attentions; without it they have their defaults.
  explicit LanguageModel(const ModelOptions& options, const Config& config = {}, ModuleContext context = {});

  /// Mean negative log-likelihood in nats of targets [B, T] given tokens [B, T] (int32). Targets below zero
  /// are not counted. The [T, V] logits are never formed.
  Tensor loss(const Tensor& tokens, const Tensor& targets) const;
  /// Negative log-likelihood of each target, [B, T].
  Tensor token_nll(const Tensor& tokens, const Tensor& targets) const;
  /// Logits of the last position, [B, V].
  Tensor next_logits(const Tensor& tokens) const;
  /// Logits of all positions, [B, T, V].
  Tensor logits(const Tensor& tokens) const;
  /// The residual stream before each block and after the last, n_layer + 1 tensors [B, T, C].
  std::vector<Tensor> hidden_states(const Tensor& tokens) const;
  /// The residual stream after the final norm, [B, T, C].
  Tensor final_hidden(const Tensor& tokens) const;
  /// The same without recomputing, with what each attention adds to the residual stream, n_layer [B, T, C].
  Tensor final_hidden(const Tensor& tokens, std::vector<Tensor>& attention) const;
  /// The final norm of any part of the residual stream [..., C], and the logits [..., V] of what it gives.
  Tensor final_norm(const Tensor& x) const { return final_norm_(x); }
  Tensor logits_of(const Tensor& final_hidden) const { return output_logits(final_hidden, output_weight()); }

  /// W of the output projection, [V, C].
  const Parameter& output_weight() const { return options_.tie_embeddings ? embedding_.weight() : output_; }

  /// What the model remembers of a text before its first token.
  DecodingState begin_decoding() const;
  /// final_hidden() for the next tokens of texts whose states take them in: tokens [B, T] -> [B, T, C]. T may
  /// change from call to call, and texts may be of unequal length. Not recorded, without dropout.
  Tensor extend(const Tensor& tokens, DecodingStates states) const;
  /// Logits of the last of the next tokens, [B, V].
  Tensor next_logits(const Tensor& tokens, DecodingStates states) const;

  /// Keep only the input of each block for backward, and run the block again there.
  void set_recompute(bool on) { recompute_ = on; }
  const ModelOptions& options() const { return options_; }
  const Block& block(int64_t layer) const { return *blocks_.at(layer); }

 private:
  // The members in the order of the parameters' list.
  Parameter learned_positions();
  std::vector<std::unique_ptr<Block>> make_blocks(const Config& config);
  Parameter own_output();
  Tensor embed(const Tensor& tokens) const;
  /// Of positions first .. first + count - 1, [count, C]; undefined where the model adds none.
  Tensor positions_from(int64_t first, int64_t count) const;
  Tensor last_logits(const Tensor& hidden) const;
  Tensor run_block(const Block& block, const Tensor& x) const;

  ModelOptions options_;
  Embedding embedding_;
  Parameter positions_;
  std::vector<std::unique_ptr<Block>> blocks_;
  LayerNorm final_norm_;
  Parameter output_;
  bool recompute_ = false;
};

}  // namespace tapestry
