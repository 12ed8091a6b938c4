#pragma once

#include <string>

#include "data/byte_tokenizer.h"
#include "data/token_file.h"

namespace tapestry::test {

/// A token file of the bytes of `text`, the last `valid_share` of them for validation.
inline void write_byte_token_file(const std::string& path, const std::string& text,
                                  double valid_share = 0.1) {
  const ByteTokenizer tokenizer;
  TokenFileWriter writer(path, tokenizer, static_cast<int64_t>(text.size()));
  const auto cut = static_cast<size_t>(static_cast<double>(text.size()) * (1 - valid_share));
  const auto add = [&](Split split, const std::string& part) {
    writer.start_document(split);
    writer.append(split, tokenizer.encode(part));
    writer.add_text(split, {.bytes = static_cast<int64_t>(part.size()), .words = 0});
  };
  add(Split::train, text.substr(0, cut));
  add(Split::valid, text.substr(cut));
  writer.commit();
}

}  // namespace tapestry::test
