#pragma once

#include <optional>

#include "layers/model_options.h"

namespace tapestry {

/// Share of the causal (query, key) pairs of `tokens` tokens that a model's attentions score, the mean of its
/// layers: 1 for standard attention. None if a layer does not score single keys, as linear attention.
std::optional<double> keys_read_share(const Config& config, int64_t tokens);

}  // namespace tapestry
