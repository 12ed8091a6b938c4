#include "tests/layers/attention/variants.h"

#include "autograd/random.h"

namespace tapestry::test {
namespace {

constexpr AttentionDims kDims{.n_embd = 12, .n_head = 3};
constexpr AttentionDims kBias{.n_embd = 12, .n_head = 3, .bias = true};
constexpr AttentionDims kRotary{.n_embd = 12, .n_head = 3, .rotary = true};

std::vector<Variant> more_variants() {
  return {
      {"standard", "scale_and_bias", {{"scale", "1.3"}}, kBias},
      {"standard", "rotary", {}, kRotary},
      {"sliding_window", "rotary", {{"window", "5"}, {"sink", "2"}}, kRotary, 5},
      {"sliding_window", "sink", {{"window", "5"}, {"sink", "3"}}, kBias, 5},
      {"sliding_window", "window_of_one", {{"window", "1"}}},
      {"sliding_window",
       "sink_longer_than_window",
       {{"window", "3"}, {"sink", "20"}},
       {.n_embd = 6, .n_head = 1},
       3},
      {"linear",
       "unnormalised_identity",
       {{"chunk", "5"}, {"normalise", "no"}, {"feature_map", "identity"}},
       kBias,
       5},
      {"linear",
       "unnormalised_elu1",
       {{"chunk", "8"}, {"normalise", "no"}, {"scale", "0.2"}},
       {.n_embd = 6, .n_head = 1}},
      {"linear", "chunk_of_one", {{"chunk", "1"}}, kBias, 1},
      {"delta_net",
       "plain",
       {{"chunk", "5"}, {"conv", "0"}, {"v_act", "none"}, {"out_norm", "none"}},
       kBias,
       5},
      {"delta_net",
       "negative",
       {{"chunk", "8"}, {"qk_act", "none"}, {"neg_eigval", "yes"}, {"conv", "2"}, {"scale", "0.7"}},
       {.n_embd = 6, .n_head = 1}},
      {"delta_net", "chunk_of_one", {{"chunk", "1"}, {"conv", "3"}}, {.n_embd = 12, .n_head = 3}, 1},
      {"bsbr", "tokens_own_keys", {{"chunk", "5"}, {"keys", "own"}}, kDims, 5},
      {"bsbr",
       "tokens_with_gain_and_bias",
       {{"chunk", "5"}, {"keys", "own"}, {"score_bias", "head"}, {"retrieval_heads", "all"}},
       kBias,
       5},
      {"bsbr", "tokens_shared_with_gain", {{"chunk", "5"}, {"score_bias", "head"}}, kRotary, 5},
      {"bsbr",
       "tokens_with_overlap_and_sink",
       {{"chunk", "4"},
        {"keys", "own"},
        {"topk", "3"},
        {"overlap", "6"},
        {"sink", "3"},
        {"retrieval_heads", "2"}},
       {.n_embd = 12, .n_head = 3},
       4},
      {"bsbr", "tokens_without_bias", {{"chunk", "8"}, {"score_bias", "off"}, {"retrieval_heads", "all"}}},
      {"bsbr", "tokens_all", {{"chunk", "4"}, {"topk", "all"}}, {.n_embd = 6, .n_head = 1}, 4},
      {"bsbr", "tokens_chunk_of_one", {{"chunk", "1"}, {"topk", "3"}}, {.n_embd = 12, .n_head = 3}, 1},
      {"bsbr", "tokens_small_blocks", {{"chunk", "6"}, {"block", "2"}, {"overlap", "3"}}, kRotary, 6},
      {"bsbr", "tokens_where_they_are", {{"chunk", "6"}, {"retrieved_positions", "own"}}, kRotary, 6},
      {"bsbr", "tokens_flat", {{"chunk", "6"}, {"softmax", "flat"}, {"score_bias", "head"}}, kRotary, 6},
      {"bsbr",
       "tokens_blocks_by_own_keys",
       {{"chunk", "8"}, {"block", "4"}, {"topk", "3"}, {"keys", "own"}, {"sink", "3"}},
       kBias},
      {"bsbr", "state", {{"read", "state"}, {"chunk", "8"}}, kBias},
      {"bsbr", "state_literal", {{"read", "state"}, {"chunk", "4"}, {"preset", "literal"}}, kDims, 4},
      {"bsbr",
       "state_top2",
       {{"read", "state"},
        {"chunk", "3"},
        {"topk", "2"},
        {"overlap", "2"},
        {"sink", "2"},
        {"compression", "5"}},
       kBias,
       3},
      {"bsbr",
       "state_normalised",
       {{"read", "state"}, {"chunk", "4"}, {"feature_map", "elu1"}, {"normalise", "true"}},
       kDims,
       4},
      {"bsbr",
       "state_softmax_map",
       {{"read", "state"}, {"chunk", "8"}, {"feature_map", "softmax"}, {"read_norm", "rms"}}},
      {"bsbr",
       "state_softmax_normalised",
       {{"read", "state"},
        {"chunk", "6"},
        {"feature_map", "softmax"},
        {"normalise", "true"},
        {"overlap", "0"}}},
      {"bsbr", "state_single_tokens", {{"read", "state"}, {"chunk", "1"}}, kDims, 1},
      {"bsbr", "local", {{"topk", "0"}, {"chunk", "8"}, {"overlap", "3"}}},
      {"hopfield", "three_steps", {{"steps", "3"}}, kBias},
      {"hopfield",
       "norms_over_heads",
       {{"steps", "2"}, {"norm_input", "false"}, {"norm_hopfield", "true"}, {"beta", "0.8"}}},
      {"hopfield", "rotary", {{"steps", "2"}}, kRotary},
      {"hopfield", "fixed_beta", {{"steps", "2"}, {"beta_learn", "false"}}},
      {"gau",
       "scales_and_bias",
       {{"chunk", "5"}, {"e", "10"}, {"quad_scale", "0.02"}, {"lin_scale", "0.1"}, {"rel_bias", "false"}},
       kBias,
       5},
      {"gau", "rotary", {{"chunk", "8"}}, kRotary},
      {"gau", "chunk_of_one", {{"chunk", "1"}}, kDims, 1},
      {"gau", "quadratic", {{"chunk", "1000"}, {"quad_scale", "0.05"}}},
  };
}

Variant default_variant(const AttentionKind& kind) {
  Variant variant{kind.name, "default", {}};
  for (const char* size : {"chunk", "window"}) {
    if (kind.section->find(size)) variant.options.emplace_back(size, "8");
  }
  return variant;
}

}  // namespace

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const AttentionKind& kind : attention_kinds()) {
    all.push_back(default_variant(kind));
    for (Variant& variant : more_variants()) {
      if (variant.kind == kind.name) all.push_back(std::move(variant));
    }
  }
  return all;
}

std::unique_ptr<Attention> make_attention(const Variant& variant, Module& root) {
  Config config;
  for (const auto& [key, value] : variant.options) config.set(variant.kind + "." + key, value, "variant");
  auto layer = attention_kind(variant.kind).make(root, variant.dims, config, 0);
  uint64_t key = 100;
  for (const NamedParameter& named : layer->parameters()) {
    Parameter parameter = named.parameter;
    std::vector<double> values = parameter.value().values<double>();
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.4 * random_normal(key, i);
    ++key;
    parameter.mutable_value().copy_from(Tensor::from(values, parameter.shape()).to(root.context().dtype));
  }
  return layer;
}

}  // namespace tapestry::test
