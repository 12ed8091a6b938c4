#include "data/id_tokenizer.h"

#include "base/error.h"

namespace tapestry {
namespace {

[[noreturn]] void refuse() {
  fail(Exit::input,
       "this model came without a tokenizer: it takes token ids, no text; "
       "`tapestry convert --tokenizer FOLDER` gives it one");
}

}  // namespace

std::map<std::string, std::string> IdTokenizer::files() const {
  return {{kSizeFile, std::to_string(vocab_size_)}};
}

size_t IdTokenizer::encode_piece(std::string_view, bool, std::vector<int32_t>&, const TextOrigin&) const {
  refuse();
}

std::string_view IdTokenizer::bytes_of(int32_t) const { refuse(); }

}  // namespace tapestry
