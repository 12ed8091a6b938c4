#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/tokenizer.h"

namespace tapestry {

struct WordHash : std::hash<std::string_view> {
  using is_transparent = void;
};
/// Values by word, found without a copy of the word.
template <class V>
using WordMap = std::unordered_map<std::string, V, WordHash, std::equal_to<>>;

/// Cuts text into the words of GPT-2's pattern (Radford et al. 2019, the released encoder.py): contractions,
/// runs of letters, digits or other characters with one space in front, and whitespace. Byte pairs are
/// merged within a word only. Properties of characters are those of Unicode 14 (PCRE2 10.42).
class WordSplitter {
 public:
  /// Calls `take` with every word that later text cannot change; all of them if `last`. Returns the bytes
  /// covered. Text that is not UTF-8 is an Error(Exit::input).
  size_t split(std::string_view text, bool last, const std::function<void(std::string_view)>& take,
               const TextOrigin& origin = {}) const;
};

}  // namespace tapestry
