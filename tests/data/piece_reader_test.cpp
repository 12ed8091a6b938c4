#include "data/piece_reader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "data/utf8.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_text.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

TEST(PieceReader, GivesEveryByteOnceWhateverIsLeftUncovered) {
  const TemporaryFolder folder;
  const std::string text = small_text(300, 1);
  write_text(folder / "a.txt", text);
  const InputFile file(folder / "a.txt");
  const auto size = static_cast<int64_t>(text.size());
  for (const size_t block : {1, 7, 100, 100'000}) {
    PieceReader reader(file, 5, size - 3, block);
    std::string covered, fresh;
    while (reader.next()) {
      EXPECT_EQ(reader.offset(), 5 + static_cast<int64_t>(covered.size()));
      fresh += reader.fresh();
      const size_t count = reader.last() ? reader.piece().size() : reader.piece().size() * 2 / 3;
      covered += reader.piece().substr(0, count);
      reader.consume(count);
    }
    EXPECT_EQ(covered, text.substr(5, text.size() - 8));
    EXPECT_EQ(fresh, covered);
  }
}

TEST(PieceReader, CutsAnEndlessWordBetweenCharacters) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "語";
  write_text(folder / "a.txt", text);
  const InputFile file(folder / "a.txt");
  PieceReader reader(file, 0, file.size(), 10, 100);
  std::string covered;
  size_t longest = 0;
  while (reader.next()) {
    longest = std::max(longest, reader.piece().size());
    if (!reader.last()) continue;
    EXPECT_EQ(valid_utf8(reader.piece()).valid, reader.piece().size());
    covered += reader.piece();
    reader.consume(reader.piece().size());
  }
  EXPECT_EQ(covered, text);
  EXPECT_LE(longest, 110u);
}

TEST(PieceReader, NoticesAFileThatShrinks) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", std::string(100, 'a'));
  const InputFile file(folder / "a.txt");
  PieceReader reader(file, 0, file.size(), 10);
  ASSERT_TRUE(reader.next());
  std::filesystem::resize_file(folder / "a.txt", 15);
  reader.consume(10);
  expect_error(Exit::io, "a.txt' became shorter", [&] { reader.next(); });
}

TEST(PieceReader, HasNothingInAnEmptyRange) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "abc");
  const InputFile file(folder / "a.txt");
  EXPECT_FALSE(PieceReader(file, 2, 2).next());
}

}  // namespace
}  // namespace tapestry
