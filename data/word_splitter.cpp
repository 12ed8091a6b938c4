#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/word_splitter.h"

#include <pcre2.h>

#include <memory>

#include "base/error.h"
#include "data/utf8.h"

namespace tapestry {
namespace {

// White_Space rather than \s, which in PCRE2 also holds U+180E.
constexpr const char* kPattern = R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+)"
                                 R"(|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";

// A word is decided by at most the character after it, of up to 4 bytes, or, for an apostrophe, by the two
// letters after it.
constexpr size_t kLookahead = 4;

size_t check_utf8(std::string_view text, bool last, const TextOrigin& origin) {
  const Utf8Prefix prefix = valid_utf8(text);
  const bool good = prefix.valid == text.size() || (prefix.incomplete && !last);
  check(good, Exit::input, origin.name, " is not UTF-8 at byte offset ",
        origin.offset + static_cast<int64_t>(prefix.valid),
        "; convert it, or use the tokenizer bytes, which takes any data");
  return prefix.valid;
}

// Anchored here: given to each match instead, it would turn the compiled code off.
pcre2_code* compile() {
  int error = 0;
  size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern), PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &offset, nullptr);
  check(code != nullptr, Exit::memory, "PCRE2 cannot compile the word pattern (error ", error, ")");
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it matching is slower, with equal results
  return code;
}

// Compiled once for the whole process; matching, from any thread, does not change it.
const pcre2_code* compiled_pattern() {
  static const pcre2_code* code = compile();
  return code;
}

}  // namespace

size_t WordSplitter::split(std::string_view text, bool last,
                           const std::function<void(std::string_view)>& take,
                           const TextOrigin& origin) const {
  const size_t size = check_utf8(text, last, origin);
  const pcre2_code* code = compiled_pattern();
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  size_t at = 0;
  while (at < size) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), size, at,
                                  PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    check(found > 0, Exit::memory, "PCRE2 failed on ", origin.name, " (error ", found, ")");
    const size_t end = pcre2_get_ovector_pointer(match.get())[1];
    if (!last && end + kLookahead > size) break;
    take(text.substr(at, end - at));
    at = end;
  }
  return at;
}

}  // namespace tapestry
