#include "data/byte_tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tapestry {
namespace {

TEST(ByteTokenizer, EveryByteIsItsOwnToken) {
  const ByteTokenizer tokenizer;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const auto ids = tokenizer.encode(all);
  for (int32_t byte = 0; byte < 256; ++byte) EXPECT_EQ(ids[static_cast<size_t>(byte)], byte);
  EXPECT_EQ(tokenizer.decode(ids), all);
  EXPECT_EQ(tokenizer.identity(), "bytes");
  EXPECT_FALSE(tokenizer.end_of_text());
  EXPECT_THROW(tokenizer.bytes_of(256), Error);
  EXPECT_THROW(tokenizer.bytes_of(-1), Error);
}

}  // namespace
}  // namespace tapestry
