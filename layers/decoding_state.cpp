#include "layers/decoding_state.h"

namespace tapestry {

DecodingState DecodingState::clone() const {
  std::vector<AttentionState> layers;
  for (const AttentionState& layer : layers_) layers.push_back(layer.clone());
  return DecodingState(std::move(layers));
}

int64_t DecodingState::used_bytes() const {
  int64_t bytes = 0;
  for (const AttentionState& layer : layers_) bytes += layer.used_bytes();
  return bytes;
}

int64_t DecodingState::held_bytes() const {
  int64_t bytes = 0;
  for (const AttentionState& layer : layers_) bytes += layer.held_bytes();
  return bytes;
}

}  // namespace tapestry
