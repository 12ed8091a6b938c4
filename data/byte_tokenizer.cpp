#include "data/byte_tokenizer.h"

#include <array>

namespace tapestry {

size_t ByteTokenizer::encode_piece(std::string_view piece, bool, std::vector<int32_t>& ids,
                                   const TextOrigin&) const {
  for (const char byte : piece) ids.push_back(static_cast<unsigned char>(byte));
  return piece.size();
}

std::string_view ByteTokenizer::bytes_of(int32_t id) const {
  static const auto bytes = [] {
    std::array<char, 256> all;
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i);
    return all;
  }();
  check_id(id);
  return {&bytes[static_cast<size_t>(id)], 1};
}

}  // namespace tapestry
