#include "data/bpe_vocabulary.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "data/bpe_tokenizer.h"
#include "tests/fuzz/property.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

struct Files {
  std::string vocabulary, merges;
};

std::string quoted(const std::string& token) {
  return nlohmann::json(token).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The beginning of a vocabulary: the symbols of all bytes.
const std::string& bytes_text() {
  static const std::string text = [] {
    std::string text;
    for (const std::string& symbol : byte_symbols())
      text += join(text.empty() ? '{' : ',', quoted(symbol), ':', &symbol - byte_symbols().data());
    return text;
  }();
  return text;
}

/// Either both files, the merges beginning at "#version", or merges alone, for which a vocabulary of all
/// bytes and of what the lines join is made.
Files files_of(const std::string& text) {
  if (text.starts_with('{')) {
    const size_t cut = std::min(text.find("#version"), text.size());
    return {text.substr(0, cut), text.substr(cut)};
  }
  static const std::set<std::string> bytes(byte_symbols().begin(), byte_symbols().end());
  Files files{bytes_text(), "#version: 0.2\n" + text};
  std::set<std::string> tokens;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const std::string token = line.erase(space, 1);
    if (!bytes.contains(token) && tokens.insert(token).second)
      files.vocabulary += join(',', quoted(token), ':', bytes.size() + tokens.size() - 1);
  }
  files.vocabulary += '}';
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(text_of(data, size));
  const Files files = files_of(text);
  const auto tokenizer = accepted({Exit::input}, [&] {
    return std::make_unique<BpeTokenizer>(files.vocabulary, files.merges, "a folder");
  });
  if (!tokenizer) return 0;
  hold((*tokenizer)->vocab_size() >= 256, "every byte has a token");
  // All characters that stand for themselves, then what is there of the merges.
  std::string sample;
  for (char c = ' '; c <= '~'; ++c) sample += c;
  for (const char c : text) sample += static_cast<char>(c & 0x7F);
  const std::vector<int32_t> ids = (*tokenizer)->encode(sample);
  hold((*tokenizer)->decode(ids) == sample, "decoding gives back what was encoded");
  hold(ids.size() <= sample.size(), "a token has at least one byte");
  return 0;
}
