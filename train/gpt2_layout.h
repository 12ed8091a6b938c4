#pragma once

#include <string>
#include <vector>

#include "layers/model_options.h"

namespace tapestry {

/// One tensor of GPT-2 in the Hugging Face layout, and what it holds of a LanguageModel. Its Conv1D weights
/// are [in, out] as ours are.
struct Gpt2Tensor {
  std::string name;                     // without the prefix "transformer."
  std::vector<int64_t> shape;           // one or two axes
  std::vector<std::string> parameters;  // one; or several whose columns stand side by side, q, k and v
};

inline constexpr const char* kGpt2Prefix = "transformer.";
inline constexpr const char* kGpt2Output = "lm_head.weight";  // never has the prefix

/// All tensors of a model with standard attention, learned positions and biases, in the order of its layers.
/// The output projection is among them unless it is tied to the embedding.
std::vector<Gpt2Tensor> gpt2_tensors(const ModelOptions& options);

/// Whether a tensor is one of the causal masks that older files carry along: constants, no weights.
bool is_gpt2_mask(const std::string& name);

}  // namespace tapestry
