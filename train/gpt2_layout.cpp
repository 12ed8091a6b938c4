#include "train/gpt2_layout.h"

namespace tapestry {
namespace {

/// Adds "<theirs>.weight" with the shape and "<theirs>.bias" with its last axis.
void add_pair(std::vector<Gpt2Tensor>& tensors, const std::string& theirs, const std::vector<int64_t>& shape,
              const std::vector<std::string>& ours) {
  Gpt2Tensor weight{theirs + ".weight", shape, {}}, bias{theirs + ".bias", {shape.back()}, {}};
  for (const std::string& name : ours) {
    weight.parameters.push_back(name + ".weight");
    bias.parameters.push_back(name + ".bias");
  }
  tensors.push_back(weight);
  tensors.push_back(bias);
}

}  // namespace

std::vector<Gpt2Tensor> gpt2_tensors(const ModelOptions& options) {
  const int64_t width = options.n_embd, inner = options.inner();
  std::vector<Gpt2Tensor> tensors = {{"wte.weight", {options.vocab_size, width}, {"embedding.weight"}},
                                     {"wpe.weight", {options.n_ctx, width}, {"positions.weight"}}};
  for (int64_t layer = 0; layer < options.n_layer; ++layer) {
    const std::string theirs = join("h.", layer, "."), ours = join("blocks.", layer, ".");
    const std::string attention = ours + "attention.";
    add_pair(tensors, theirs + "ln_1", {width}, {ours + "norm_1"});
    add_pair(tensors, theirs + "attn.c_attn", {width, 3 * width},
             {attention + "q", attention + "k", attention + "v"});
    add_pair(tensors, theirs + "attn.c_proj", {width, width}, {attention + "out"});
    add_pair(tensors, theirs + "ln_2", {width}, {ours + "norm_2"});
    add_pair(tensors, theirs + "mlp.c_fc", {width, inner}, {ours + "mlp.up"});
    add_pair(tensors, theirs + "mlp.c_proj", {inner, width}, {ours + "mlp.down"});
  }
  add_pair(tensors, "ln_f", {width}, {"final_norm"});
  if (!options.tie_embeddings)
    tensors.push_back({kGpt2Output, {options.vocab_size, width}, {"output.weight"}});
  return tensors;
}

bool is_gpt2_mask(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

}  // namespace tapestry
