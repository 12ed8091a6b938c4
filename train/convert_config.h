#pragma once

#include "train/model_source.h"

namespace tapestry {

/// What a conversion changes.
struct ConvertOptions {
  std::vector<std::string> attention = {};  // one, for `layers`, or one for each layer; empty: as it is
  std::string layers = "all";               // "all", or numbers and ranges from 0: "0,3-5"
  int64_t n_ctx = 0;                        // rows of the learned positions; 0: as they are
  std::string positions = "repeat";
};

const OptionTable<ConvertOptions>& convert_options();

/// The numbers below `count` that a text like "0,3-5" or "all" names, each once, in order. Errors call one
/// `noun` ("layer") and the option --layers.
std::vector<int64_t> parse_ranges(const std::string& noun, const std::string& text, int64_t count);

/// The config of the model that `source` becomes: its own, with the attentions of `options` and their options
/// from `given` over it. A layer that becomes bsbr has score_bias = off, softmax = flat, retrieval_heads =
/// all and retrieved_positions = own unless given otherwise: with read = tokens it then needs no parameter
/// that the source does not have, and reading all tokens it is the source's. Throws Error(usage) for what
/// does not fit together.
Config converted_config(const ModelSource& source, const ConvertOptions& options, const Config& given);

}  // namespace tapestry
