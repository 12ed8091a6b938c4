#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/bpe_tokenizer.h"
#include "data/word_splitter.h"

namespace tapestry {

/// Learns a byte-level BPE vocabulary: counts words, then makes the most frequent pair of neighbours a token
/// again and again. Equal counts go to the pair of smaller ids, so the result depends on the text alone.
class BpeTrainer {
 public:
  static constexpr int64_t kSmallestVocabulary = 257;  // the bytes and <|endoftext|>

  /// Memory is bounded: beyond `most_words` different words the rarest are forgotten.
  explicit BpeTrainer(size_t most_words = size_t{1} << 22) : most_words_(most_words) {}

  /// As Tokenizer::encode_piece: returns the bytes covered; the rest goes in front of the next piece.
  size_t add_piece(std::string_view piece, bool last, const TextOrigin& origin = {});
  void add(std::string_view text) { add_piece(text, true); }

  /// `vocab_size` tokens: 256 bytes, merges, <|endoftext|> last; fewer when no pair comes twice any more.
  /// `progress` hears the number of merges done and wanted.
  std::unique_ptr<BpeTokenizer> train(int64_t vocab_size,
                                      const std::function<void(int64_t, int64_t)>& progress = {}) const;

 private:
  void forget_rare_words();

  WordSplitter splitter_;
  size_t most_words_;
  WordMap<int64_t> counts_;
};

}  // namespace tapestry
