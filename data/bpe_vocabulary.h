#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace tapestry {

/// A byte-level BPE vocabulary, as vocab.json and merges.txt in the Hugging Face layout hold it.
struct BpeVocabulary {
  struct Merge {
    int32_t left, right, result;
  };
  std::vector<std::string> tokens;      // the bytes of each id; of a special token its name
  std::array<int32_t, 256> byte_ids{};  // the token of each single byte
  std::vector<Merge> merges;            // first ones first
};

inline constexpr const char* kEndOfText = "<|endoftext|>";

/// Reads strictly: every id from 0 to the size once, a symbol for every byte, `#version` first in the merges,
/// then "left right" lines, each pair once, all in the vocabulary. Errors are Error(Exit::input) and name
/// origin, file and line.
/// `added_tokens`, unless empty, is the content of an added_tokens.json: more tokens with their ids.
BpeVocabulary parse_bpe(const std::string& vocab_json, const std::string& merges, const std::string& origin,
                        const std::string& added_tokens = "");
/// The canonical forms of the two files: equal for equal vocabularies.
std::string format_vocab_json(const BpeVocabulary& vocabulary);
std::string format_merges(const BpeVocabulary& vocabulary);

/// The tokens that encoding never gives, in order: neither a byte nor the result of a merge. These are the
/// special ones, such as the end of text.
std::vector<int32_t> special_tokens(const BpeVocabulary& vocabulary);

/// GPT-2's printable character for every byte, in UTF-8: itself where it is printable Latin-1, else one from
/// U+0100 on.
const std::array<std::string, 256>& byte_symbols();
/// The bytes in the order of GPT-2's first 256 ids, the printable ones, then the others, without merges.
BpeVocabulary byte_vocabulary();

}  // namespace tapestry
