#pragma once

#include <map>
#include <string>
#include <vector>

namespace tapestry::test {

/// How an attention_<layer>.h5 of ATTENTION section 0.4 speaks about one of our attentions.
struct FixtureNames {
  std::string kind;                                          // in the factory
  std::vector<std::pair<std::string, std::string>> options;  // set for every case of this layer
  std::map<std::string, std::string> parameters;             // besides the projections q, k, v, o
  /// Attribute "name=value" -> the option's value, where it is written in another way.
  std::map<std::string, std::string> values;
};

inline const std::map<std::string, FixtureNames>& fixture_names() {
  static const std::map<std::string, FixtureNames> names = {
      {"softmax", {"standard", {}, {}, {}}},
      {"sliding", {"sliding_window", {}, {}, {}}},
      {"linear", {"linear", {}, {}, {}}},
      {"deltanet", {"delta_net", {}, {{"Wbeta", "beta.weight"}, {"norm_g", "norm.weight"}}, {}}},
      {"hopfield",
       {"hopfield",
        {},
        {{"ln_state_g", "norm_state.weight"},
         {"ln_state_b", "norm_state.bias"},
         {"ln_stored_g", "norm_stored.weight"},
         {"ln_stored_b", "norm_stored.bias"},
         {"ln_proj_g", "norm_projected.weight"},
         {"ln_proj_b", "norm_projected.bias"},
         {"ln_h_g", "norm_hopfield.weight"},
         {"ln_h_b", "norm_hopfield.bias"}},
        {}}},
      {"gau", {"gau", {}, {{"Wu", "u.weight"}, {"Wz", "z.weight"}, {"bu", "u.bias"}, {"bz", "z.bias"}}, {}}},
      {"bsbr",
       {"bsbr",
        {{"read", "state"}},
        {{"Wr", "r.weight"},
         {"br", "r.bias"},
         {"Wh", "h.weight"},
         {"bh", "h.bias"},
         {"Wc", "compress"},
         {"Wd", "decompress"}},
        {{"topk=0", "all"}}}},
      {"bsbr_token",
       {"bsbr",
        {{"read", "tokens"}, {"block", "chunk"}, {"softmax", "flat"}, {"retrieval_heads", "all"}},
        {{"Wr", "r.weight"}, {"Wh", "h.weight"}},
        {{"score_bias=0", "off"}, {"score_bias=1", "on"}}}},
  };
  return names;
}

}  // namespace tapestry::test
