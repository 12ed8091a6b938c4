#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/bpe_vocabulary.h"
#include "data/tokenizer.h"
#include "data/word_splitter.h"

namespace tapestry {

/// GPT-2's byte-level BPE (Sennrich et al. 2016, on bytes). Names of special tokens in a text are plain text.
/// Calls from several threads take turns.
class BpeTokenizer : public Tokenizer {
 public:
  static constexpr const char* kVocabFile = "vocab.json";
  static constexpr const char* kMergesFile = "merges.txt";
  static constexpr const char* kAddedTokensFile = "added_tokens.json";

  /// From the contents of the files, of which added_tokens.json may be empty; `origin` (the folder) is named
  /// in errors.
  BpeTokenizer(const std::string& vocab_json, const std::string& merges, const std::string& origin,
               const std::string& added_tokens = "");

  std::string kind() const override { return "bpe"; }
  int64_t vocab_size() const override { return static_cast<int64_t>(vocabulary_.tokens.size()); }
  std::optional<int32_t> end_of_text() const override { return end_of_text_; }
  std::map<std::string, std::string> files() const override;
  size_t encode_piece(std::string_view piece, bool last, std::vector<int32_t>& ids,
                      const TextOrigin& origin = {}) const override;
  std::string_view bytes_of(int32_t id) const override;

 private:
  struct Rule {
    int32_t rank, result;
  };

  const Rule* rule(int32_t left, int32_t right) const;
  std::vector<int32_t> merge(std::string_view word) const;
  void append_word(std::string_view word, std::vector<int32_t>& ids) const;

  BpeVocabulary vocabulary_;
  std::unordered_map<uint64_t, Rule> rules_;
  std::optional<int32_t> end_of_text_;
  WordSplitter splitter_;
  mutable std::mutex cache_mutex_;
  mutable WordMap<std::vector<int32_t>> cache_;
};

}  // namespace tapestry
