#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tapestry {

struct Utf8Prefix {
  size_t valid = 0;         // bytes of whole, well-formed characters at the start
  bool incomplete = false;  // the rest is the beginning of one more character, cut off by the end of the text
};

/// How much of `text` is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates).
Utf8Prefix valid_utf8(std::string_view text);

void append_utf8(char32_t character, std::string& text);
/// The character at `at`, which is moved past it. `text` must be well-formed.
char32_t next_utf8(std::string_view text, size_t& at);

/// Turns pieces of bytes into text that can be shown at once: holds back a character that is not complete
/// yet. Bytes that are not UTF-8 pass as they are.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  /// What is still held back, at the end.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace tapestry
