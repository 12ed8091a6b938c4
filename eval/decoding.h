#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/sampling.h"
#include "layers/language_model.h"

namespace tapestry {

/// Takes tokens of one text into its state, in pieces of bounded size, and tells `go_on` how many were read
/// after each. Returns the logits after the last, [1, V].
Tensor read_tokens(const LanguageModel& model, std::span<const int32_t> tokens, DecodingState& state,
                   const std::function<void(int64_t done)>& go_on = {});

/// Several ways for one text to go on, drawn side by side.
class Continuations {
 public:
  /// From a text that the state has read but for `pending`, at least one token. The token at a position is
  /// drawn by seed, number of the continuation, and position: breaks in between do not show. Tokens are drawn
  /// from the first `vocab_size`: the tokenizer of a model may know fewer than it has logits.
  Continuations(const LanguageModel& model, DecodingState state, std::vector<int32_t> pending, int64_t count,
                int64_t vocab_size, const SamplingOptions& sampling, uint64_t seed,
                const std::function<void(int64_t done)>& go_on = {});

  /// Whether the model has a position for one more token.
  bool has_room() const;
  /// Draws the next token of each.
  std::vector<int32_t> draw();
  /// The state of continuation i, which has read all tokens but the last.
  const DecodingState& state(int64_t i) const { return states_.at(i); }
  int32_t last(int64_t i) const { return last_.at(i); }

 private:
  Tensor next_logits();

  const LanguageModel& model_;
  int64_t vocab_size_;
  SamplingOptions sampling_;
  uint64_t seed_;
  std::vector<DecodingState> states_;
  std::vector<int32_t> last_;
};

}  // namespace tapestry
