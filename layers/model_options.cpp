#include "layers/model_options.h"

#include "base/violations.h"
#include "layers/attention/attention.h"

namespace tapestry {

const OptionTable<ModelOptions>& model_options() {
  using M = ModelOptions;
  static const OptionTable<M> table =
      OptionTable<M>("model", "the language model")
          .add("attention", &M::attention, "one attention for all layers, or a list with one for each")
          .add("n_layer", &M::n_layer, "transformer blocks", between(1, 1000))
          .add("n_head", &M::n_head, "attention heads; divides n_embd", between(1, 1e6))
          .add("n_embd", &M::n_embd, "width C of the residual stream", between(1, 1e6))
          .add("n_inner", &M::n_inner, "width F of the feed-forward part; 0: four times n_embd",
               between(0, 1e7))
          .add("n_ctx", &M::n_ctx, "rows of the learned positions; 0: data.seq_len", between(0, 1e9))
          .add("vocab_size", &M::vocab_size, "tokens V; 0: those of the token file or task", between(0, 1e9))
          .add("positions", &M::positions, "how the model knows the order of tokens",
               one_of({"learned", "sinusoidal", "rotary", "none"}))
          .add("activation", &M::activation, "of the feed-forward part: gelu is the tanh form of GPT-2",
               one_of({"gelu", "gelu_exact"}))
          .add("dropout", &M::dropout, "share of activations dropped in training", between(0, 0.99))
          .add("bias", &M::bias, "biases in the linear layers and layer norms")
          .add("norm_eps", &M::norm_eps, "added to the variance in the layer norms", above(0))
          .add("tie_embeddings", &M::tie_embeddings, "the output projection shares the token embedding");
  return table;
}

void check_model_options(const ModelOptions& options) {
  Violations wrong;
  const bool divides = options.n_embd % options.n_head == 0;
  wrong.require(divides, "model.n_head = ", options.n_head,
                " does not divide model.n_embd = ", options.n_embd);
  wrong.require(options.positions != "rotary" || !divides || options.n_embd / options.n_head % 2 == 0,
                "model.positions = rotary needs an even head width, n_embd / n_head is ",
                options.n_embd / options.n_head);
  const auto listed = static_cast<int64_t>(options.attention.size());
  wrong.require(listed == 1 || listed == options.n_layer, "model.attention lists ", listed,
                " attentions for ", options.n_layer, " layers");
  for (const std::string& name : options.attention) {
    try {
      attention_kind(name);
    } catch (const Error& error) {
      wrong.add(error.what());
    }
  }
  wrong.require(options.vocab_size >= 1, "model.vocab_size is not known: give it, or a token file");
  wrong.require(options.positions != "learned" || options.n_ctx >= 1,
                "model.n_ctx is not known: learned positions need it");
  wrong.throw_if_any();
}

}  // namespace tapestry
