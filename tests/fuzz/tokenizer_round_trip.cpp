#include "data/bpe_trainer.h"
#include "data/byte_tokenizer.h"
#include "data/utf8.h"
#include "tests/fuzz/property.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

const BpeTokenizer& small_bpe() {
  static const auto tokenizer = [] {
    BpeTrainer trainer;
    std::string text;
    for (int i = 0; i < 300; ++i)
      text += join("The ", i * i, " words' w\u00e4ren it's \u4f60\u597d\n\t ", i, "! ");
    trainer.add(text);
    return trainer.train(400);
  }();
  return *tokenizer;
}

/// The ids of a text that comes in two pieces.
std::vector<int32_t> encode_in_pieces(const Tokenizer& tokenizer, std::string_view text, size_t cut) {
  std::vector<int32_t> ids;
  const size_t covered = tokenizer.encode_piece(text.substr(0, cut), false, ids);
  hold(covered <= cut, "no more is covered than was given");
  tokenizer.encode_piece(text.substr(covered), true, ids);
  return ids;
}

void check_round_trip(const Tokenizer& tokenizer, std::string_view text, size_t cut) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  hold(tokenizer.decode(ids) == text, "decoding gives back what was encoded");
  hold(encode_in_pieces(tokenizer, text, cut) == ids, "pieces have the ids of the whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = text_of(data + 1, size - 1);
  const size_t cut = data[0] % (text.size() + 1);
  check_round_trip(ByteTokenizer(), text, cut);
  const bool good = accepted({Exit::input}, [&] {
                      check_round_trip(small_bpe(), text, cut);
                      return true;
                    }).has_value();
  hold(good == (valid_utf8(text).valid == text.size()), "UTF-8, and nothing else, is taken");
  return 0;
}
