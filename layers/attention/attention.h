#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "layers/attention/core_cost.h"
#include "layers/attention/state.h"
#include "layers/module.h"

namespace tapestry {

/// What every attention layer is told by its model.
struct AttentionDims {
  int64_t n_embd = 0;          // C
  int64_t n_head = 1;          // H, divides C
  bool bias = false;           // biases on the projections q, k, v and out
  bool rotary = false;         // rotary positions on the queries and keys of token scores
  double init_std = 0.02;      // of the input projections
  double out_init_std = 0.02;  // of the output projection
};

/// A causal map of [B, T, C] to [B, T, C]: output t depends on inputs up to t only.
class Attention : public Module {
 public:
  using Module::Module;
  virtual Tensor operator()(const Tensor& x) const = 0;

  /// What it remembers of a sequence before the first token.
  virtual AttentionState begin_state() const = 0;
  /// The same for the next T tokens of each sequence, whose states take them in: x [B, T, C] -> [B, T, C]. T
  /// may change from call to call, and sequences may have had unequal numbers of tokens. Not recorded.
  virtual Tensor extend(const Tensor& x, States states) const = 0;
};

/// One line of the factory. `section` holds the attention's own options; `make` and `cost` read them for one
/// layer.
struct AttentionKind {
  std::string name;
  const OptionSection* section;
  std::function<std::unique_ptr<Attention>(Module& parent, const AttentionDims&, const Config&,
                                           int64_t layer)>
      make;
  std::function<CoreCost(const CoreShape&, const Config&, int64_t layer)> cost;
};

/// All attentions of the program. A new one is a file layers/attention/<name>.cpp that exports its kind, and
/// a line in factory.cpp.
const std::vector<AttentionKind>& attention_kinds();
const AttentionKind& attention_kind(const std::string& name);

}  // namespace tapestry
