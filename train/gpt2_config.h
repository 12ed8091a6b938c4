#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "layers/model_options.h"

namespace tapestry {

/// The model that a config.json of GPT-2 in the Hugging Face layout describes: standard attention, learned
/// positions, biases. Its keys and their aliases are read strictly. What is not implemented here, or does not
/// fit together, is one Error(input) that starts with `where` and lists everything; keys that do not change
/// what the model computes are let pass. Dropout is that of resid_pdrop everywhere, and there is none of
/// attention weights (attn_pdrop).
ModelOptions parse_gpt2_config(const std::string& text, const std::string& where);

/// The config.json of a model. `original`, if not empty, is the one that it was imported with: its other keys
/// stay, and so do values that still mean the same.
std::string format_gpt2_config(const ModelOptions& model, const std::string& original,
                               std::optional<int32_t> end_of_text);

}  // namespace tapestry
