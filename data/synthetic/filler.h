#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/token_file.h"

namespace tapestry {

/// Text that hides a needle: of a token file, or short random sentences as bytes.
class Filler {
 public:
  /// An empty path is the sentences.
  explicit Filler(const std::string& path);
  std::shared_ptr<const Tokenizer> tokenizer() const { return tokenizer_; }
  /// `count` tokens of the split that `key` picks.
  std::vector<int32_t> tokens(uint64_t key, int64_t count, Split split) const;
  std::string sha256() const { return file_ ? file_->sha256() : ""; }

 private:
  std::optional<TokenFile> file_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace tapestry
