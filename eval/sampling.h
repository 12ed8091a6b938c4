#pragma once

#include <cstdint>
#include <span>

namespace tapestry {

/// How the next token is drawn from the logits.
struct SamplingOptions {
  double temperature = 0.8;  // 0: always the most likely token
  int64_t top_k = 0;         // keep the k most likely; 0: all
  double top_p = 1;          // keep the most likely that together reach this probability
};

/// Draws a token. `uniform` in [0, 1) decides; the same logits and the same number give the same token. Equal
/// logits are taken in the order of their ids.
int64_t sample_token(std::span<const float> logits, const SamplingOptions& options, double uniform);

}  // namespace tapestry
