#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"

namespace tapestry {

/// Section [model]. The attentions have sections of their own, and [layer.N] overrides them for one layer.
struct ModelOptions {
  std::vector<std::string> attention = {"bsbr"};  // one for all layers, or a list by layer
  int64_t n_layer = 6;
  int64_t n_head = 6;
  int64_t n_embd = 384;    // C
  int64_t n_inner = 0;     // F; 0: 4 C
  int64_t n_ctx = 0;       // rows of learned positions; 0: the sequence length trained on
  int64_t vocab_size = 0;  // V; 0: the tokenizer's
  std::string positions = "rotary";
  std::string activation = "gelu";
  double dropout = 0;
  bool bias = true;
  double norm_eps = 1e-5;
  bool tie_embeddings = true;

  int64_t inner() const { return n_inner > 0 ? n_inner : 4 * n_embd; }
  /// The attention of a layer.
  const std::string& attention_of(int64_t layer) const {
    return attention.size() == 1 ? attention[0] : attention.at(layer);
  }
};

const OptionTable<ModelOptions>& model_options();
/// Throws Error(usage) that lists everything that does not fit together.
void check_model_options(const ModelOptions& options);

}  // namespace tapestry
