#pragma once

#include "data/tokenizer.h"

namespace tapestry {

/// Stands in for the tokenizer of a model that came without one: the vocabulary has a size and nothing else.
/// Text in either direction is an Error(input).
class IdTokenizer : public Tokenizer {
 public:
  static constexpr const char* kSizeFile = "vocab_size";

  explicit IdTokenizer(int64_t vocab_size) : vocab_size_(vocab_size) {}

  std::string kind() const override { return "ids"; }
  int64_t vocab_size() const override { return vocab_size_; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override;
  size_t encode_piece(std::string_view piece, bool last, std::vector<int32_t>& ids,
                      const TextOrigin& origin = {}) const override;
  std::string_view bytes_of(int32_t id) const override;

 private:
  int64_t vocab_size_;
};

}  // namespace tapestry
