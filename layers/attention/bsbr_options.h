#pragma once

#include "autograd/ops/softmax_attention.h"
#include "base/options.h"
#include "layers/attention/core_cost.h"

namespace tapestry {

/// Section [bsbr]; the names are those of ATTENTION section 7. `auto` depends on other keys, see the help.
struct BsbrOptions {
  std::string read = "tokens";
  int64_t chunk = 128;
  std::string topk = "auto";
  std::string overlap = "auto";
  int64_t sink = 0;

  // How tokens are read (7.6).
  std::string block = "auto";
  std::string keys = "auto";
  std::string score_bias = "on";
  std::string softmax = "auto";
  std::string retrieval_heads = "auto";
  std::string retrieved_positions = "edge";

  // How states are read (7.1, 7.7).
  std::string state_scale = "auto";
  std::string feature_map = "identity";
  bool normalise = false;
  double eps = 1e-6;
  std::string read_norm = "none";
  std::string gate = "auto";
  int64_t compression = 0;
  std::string preset = "none";

  bool reads_tokens() const { return read == "tokens"; }
  /// Tokens of a block, of which retrieved tokens are read.
  int64_t block_size() const;
  /// Blocks, with read = state chunks, retrieved at a time, at most; 0: local attention only.
  int64_t retrieved() const;
  /// Tokens before its chunk that a token also reads locally.
  int64_t reach() const;
  /// Where tokens are scored that are retrieved at the edge: the first distance that no local key has.
  int64_t edge() const { return chunk + reach(); }
  /// What is read locally.
  Visible visible() const { return {.chunk = chunk, .reach = reach(), .sink = sink}; }
  /// Heads that read tokens of retrieved blocks, of so many.
  int64_t retrieving(int64_t n_head) const;
  /// Share of the causal pairs of query and key that read = tokens scores in a sequence of `tokens`, the mean
  /// of the heads; a retrieved block that is partly local counts as whole, where there are as many keys to
  /// retrieve.
  double keys_read_share(int64_t tokens, int64_t n_head) const;
  /// Whether blocks are found by q and k, not by projections of their own.
  bool shares_keys() const { return keys == "shared" || (keys == "auto" && reads_tokens()); }
  /// Whether a retrieved block is weighed by its score, and its tokens share the weight.
  bool hierarchical() const {
    return softmax == "hierarchical" || (softmax == "auto" && score_bias != "off");
  }
  bool state_means() const;
  bool gated() const;

  CoreCost cost(const CoreShape& shape) const;
};
const OptionTable<BsbrOptions>& bsbr_options();
/// The options, or an Error(usage) that lists the keys that do not go together.
const BsbrOptions& check_bsbr_options(const BsbrOptions& options);

}  // namespace tapestry
