#pragma once

#include "data/tokenizer.h"

namespace tapestry {

/// Every byte is a token; takes any data.
class ByteTokenizer : public Tokenizer {
 public:
  std::string kind() const override { return "bytes"; }
  int64_t vocab_size() const override { return 256; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }
  size_t encode_piece(std::string_view piece, bool last, std::vector<int32_t>& ids,
                      const TextOrigin& origin = {}) const override;
  std::string_view bytes_of(int32_t id) const override;
};

}  // namespace tapestry
