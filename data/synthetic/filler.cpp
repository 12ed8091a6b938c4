#include "data/synthetic/filler.h"

#include <array>

#include "data/byte_tokenizer.h"
#include "data/synthetic/random_stream.h"

namespace tapestry {
namespace {

constexpr std::array kNouns = {"grass", "sky",   "sun",  "road", "river", "house", "garden", "bread",
                               "night", "table", "ship", "wind", "stone", "bird",  "letter", "lamp"};
constexpr std::array kQualities = {"green", "blue", "bright", "long", "quiet", "old",   "wide", "warm",
                                   "dark",  "new",  "slow",   "cold", "grey",  "small", "late", "round"};

std::string sentences(uint64_t key, size_t bytes) {
  RandomStream random(key);
  std::string text;
  while (text.size() < bytes)
    text += join("The ", kNouns[random.below(kNouns.size())], " is ",
                 kQualities[random.below(kQualities.size())], ". ");
  return text.substr(0, bytes);
}

}  // namespace

Filler::Filler(const std::string& path) {
  if (path.empty()) {
    tokenizer_ = std::make_shared<ByteTokenizer>();
    return;
  }
  file_.emplace(path);
  tokenizer_ = file_->tokenizer();
}

std::vector<int32_t> Filler::tokens(uint64_t key, int64_t count, Split split) const {
  if (!file_) return tokenizer_->encode(sentences(key, static_cast<size_t>(count)));
  const auto text = file_->tokens(split);
  check(text->size() >= count, Exit::input, text->name(), ": ", text->size(), " tokens are too few for ",
        count, " tokens of filler");
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  text->read(RandomStream(key).between(0, text->size() - count), count, tokens.data());
  return tokens;
}

}  // namespace tapestry
