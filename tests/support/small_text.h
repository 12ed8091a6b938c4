#pragma once

#include <random>
#include <string>

namespace tapestry {

/// Text with contractions, runs of whitespace, digits, punctuation and characters of 1 to 4 bytes.
inline std::string small_text(size_t pieces, unsigned seed) {
  static const char* const parts[] = {"the", " the",  " loom",       " weaves", "'s",     "'ll", "'",
                                      "'l",  " ",     "  ",          "\n",      "\n\n",   "\t",  " 12",
                                      "345", ", ",    "...",         "!?",      "café",   "é",   "日本",
                                      "語",  "😀",     "👩‍👩", "\u00a0",  "\u2003", "x",   "'re",
                                      "n't", " it's", " I'd",        "½",       "\r\n",   "_",   "\u180e"};
  std::mt19937 random(seed);
  std::string text;
  for (size_t i = 0; i < pieces; ++i) text += parts[random() % std::size(parts)];
  return text;
}

}  // namespace tapestry
