#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "tests/faults/saving.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

constexpr int kFlips = 10'000;

TEST(Damage, EveryTruncationIsFoundAndSaysWhatIsMissing) {
  const TemporaryFolder folder;
  const std::string path = folder / "last.h5";
  TinyCheckpoint(64).save(path, 1);
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  int truncations = 0;
  for (int64_t page = (bytes - 1) / 4096 * 4096; page > 0; page -= 4096) {
    for (const int64_t size : {page + 1, page, page - 1}) {
      if (size >= bytes) continue;
      ASSERT_EQ(truncate(path.c_str(), size), 0);
      expect_error(Exit::checkpoint, join("truncated: expected ", bytes, " bytes, found ", size),
                   [&] { Checkpoint(path).config(); });
      ++truncations;
    }
  }
  EXPECT_GT(truncations, 100);
}

TEST(Damage, EveryFlippedBitIsFoundBeforeTheContentIsRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "last.h5";
  TinyCheckpoint().save(path, 1);
  std::string bytes = read_text(path);
  std::mt19937_64 random(11);
  const int file = open(path.c_str(), O_WRONLY);
  for (int i = 0; i < kFlips; ++i) {
    const size_t at = random() % bytes.size();
    const char flipped = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
    ASSERT_EQ(pwrite(file, &flipped, 1, static_cast<off_t>(at)), 1);
    EXPECT_THROW(Checkpoint{path}, Error) << "byte " << at;
    ASSERT_EQ(pwrite(file, &bytes[at], 1, static_cast<off_t>(at)), 1);
  }
  close(file);
  EXPECT_EQ(faults_of(path), "");
}

}  // namespace
}  // namespace tapestry::test
