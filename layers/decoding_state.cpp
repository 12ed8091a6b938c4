#include "layers/decoding_state.h"

namespace tapestry {

DecodingState DecodingState::clone() const {
  std::vector<AttentionState> layers;
  for (const AttentionState& layer : layers_) layers.push_back(layer.clone());
  return DecodingState(std::move(layers));
}

}  // namespace tapestry
