#pragma once

#include <string>

#include "data/tokenizer.h"
#include "layers/language_model.h"

namespace tapestry {

/// Writes a model as GPT-2 in the Hugging Face layout: model.safetensors (F32, names with "transformer."),
/// the tokenizer's files, and config.json last. `original` is the config.json that the model came with, or
/// empty: then rows of a padded vocabulary that stand for no token are left out. Layers without biases get
/// zeros. It takes the place of a model that is there. A model that GPT-2 cannot express is an Error(usage)
/// that says why. Returns the size of the vocabulary that it wrote.
int64_t export_gpt2(const std::string& folder, const LanguageModel& model, const Config& config,
                    const Tokenizer& tokenizer, const std::string& original);

}  // namespace tapestry
