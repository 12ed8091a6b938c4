#pragma once

#include <span>
#include <vector>

#include "layers/attention/state.h"

namespace tapestry {

/// What a language model remembers of one text: the states of its layers.
class DecodingState {
 public:
  explicit DecodingState(std::vector<AttentionState> layers) : layers_(std::move(layers)) {}

  /// Tokens of the text so far.
  int64_t position() const { return layers_.front().position(); }
  std::vector<AttentionState>& layers() { return layers_; }
  const std::vector<AttentionState>& layers() const { return layers_; }

  /// One that goes its own way from here.
  DecodingState clone() const;
  /// Bytes of what is kept, and of the memory that holds it.
  int64_t used_bytes() const { return sum_of(layers_, &AttentionState::used_bytes); }
  int64_t held_bytes() const { return sum_of(layers_, &AttentionState::held_bytes); }

 private:
  std::vector<AttentionState> layers_;
};

/// The states of the texts of a batch.
using DecodingStates = std::span<DecodingState* const>;

}  // namespace tapestry
