#include "data/input_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

TEST(InputFile, ReadsRanges) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "0123456789");
  const InputFile file(folder / "a.txt");
  char to[4] = {};
  EXPECT_EQ(file.size(), 10);
  EXPECT_EQ(file.read_at(3, to, 4), 4u);
  EXPECT_EQ(std::string(to, 4), "3456");
  EXPECT_EQ(file.read_at(8, to, 4), 2u);
  EXPECT_EQ(file.read_at(20, to, 4), 0u);
  EXPECT_EQ(file.read_all(), "0123456789");
}

TEST(InputFile, RefusesWhatIsNoRegularFileAndNeverWaits) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder / "loop");
  write_text(folder / "file", "x");
  for (const std::string& path : {folder / "pipe", folder.path(), std::string("/dev/null"), folder / "none",
                                  folder / "loop", folder / "file/below"}) {
    expect_error(Exit::input, path, [&] { const InputFile file(path); });
    expect_error(Exit::checkpoint, path, [&] { const InputFile file(path, Exit::checkpoint); });
  }
}

TEST(InputFile, PermissionIsAnInputOutputError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "x");
  chmod((folder / "a.txt").c_str(), 0);
  expect_error(Exit::io, "Permission denied", [&] { const InputFile file(folder / "a.txt"); });
}

}  // namespace
}  // namespace tapestry
