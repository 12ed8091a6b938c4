#pragma once

#include "layers/model_options.h"

namespace tapestry {

/// One Error(usage) that lists every key of a `[layer.N]` section that says nothing about the model: of a
/// layer that is not there, or one that the layer's attention does not have.
void check_layer_options(const ModelOptions& model, const Config& config);

}  // namespace tapestry
