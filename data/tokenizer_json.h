#pragma once

#include <map>
#include <string>

#include "data/tokenizer.h"

namespace tapestry {

inline constexpr const char* kTokenizerJson = "tokenizer.json";

/// vocab.json and merges.txt, by name, of the byte-level BPE that a tokenizer.json of the Hugging Face
/// library describes (GPT-2's: no normaliser, ByteLevel before and after, special added tokens only).
/// Anything that would give other ids is one Error(input) that lists it all; `origin` is the folder.
std::map<std::string, std::string> bpe_files_of(const std::string& text, const std::string& origin);

/// The tokenizer.json of a tokenizer of kind bpe. Its special_tokens() are the added ones.
std::string tokenizer_json_of(const Tokenizer& bpe);

}  // namespace tapestry
