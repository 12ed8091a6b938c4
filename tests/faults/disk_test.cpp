#include <gmock/gmock.h>
#include <sys/mount.h>

#include <filesystem>
#include <limits>

#include "tests/faults/saving.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A file system in memory with room for so many bytes.
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes) {
    const std::string size = join("size=", bytes);
    mounted_ = mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  bool mounted_;
};

TEST(Disk, WithoutRoomForTheNewCheckpointKeepsTheOldOne) {
  const TemporaryFolder elsewhere;
  TinyCheckpoint(64).save(elsewhere / "last.h5", 1);
  const auto bytes = static_cast<int64_t>(fs::file_size(elsewhere / "last.h5"));
  const int64_t pages = (bytes + 4095) / 4096 * 4096;
  for (const double share : {0.0, 0.5, 0.99, 1.0}) {
    const SmallDisk disk(pages + static_cast<int64_t>(share * static_cast<double>(pages)));
    if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
    const std::string path = disk.folder() / "last.h5";
    const ShellResult result = shell(save_loop("atomic", path, 2, 64));
    EXPECT_EQ(faults_of(path), "") << share;
    EXPECT_EQ(count_files(disk.folder().path()), 1) << share;
    EXPECT_EQ(result.status, share < 1 ? 4 : 0) << share << result.errors;
    EXPECT_EQ(Checkpoint(path).state().step, share < 1 ? 1 : 2);
    const std::string message = share < 1 ? "No space left" : "";
    EXPECT_THAT(result.errors, HasSubstr(message));
  }
}

TEST(Disk, AFolderThatGoesAwayIsAnError) {
  const TemporaryFolder folder;
  TinyCheckpoint checkpoint;
  fs::create_directory(folder / "run");
  checkpoint.save(folder / "run/last.h5", 1);
  fs::remove_all(folder / "run");
  expect_error(Exit::io, "run/last.h5", [&] { checkpoint.save(folder / "run/last.h5", 2); });
  write_text(folder / "run", "a file in its place");
  expect_error(Exit::io, "run/last.h5", [&] { checkpoint.save(folder / "run/last.h5", 2); });
}

TEST(Disk, TakesAnyNameThatTheFileSystemTakes) {
  const TemporaryFolder folder;
  for (const std::string& name : {std::string("with a space.h5"), std::string("h\xC3\xA4us\xE2\x82\xAC.h5"),
                                  std::string(252, 'n') + ".h5"}) {
    TinyCheckpoint().save(folder / name, 1);
    TinyCheckpoint().save(folder / name, 2);
    EXPECT_EQ(faults_of(folder / name), "");
  }
  EXPECT_EQ(count_files(folder.path()), 3);
}

TEST(Disk, WeightsThatAreNotFiniteNeverReplaceGoodOnes) {
  const TemporaryFolder folder;
  TinyCheckpoint checkpoint;
  checkpoint.save(folder / "last.h5", 1);
  Tensor weight = checkpoint.model().parameters().front().parameter.value();
  weight.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  expect_error(Exit::nonfinite, "element 3 of", [&] { checkpoint.save(folder / "last.h5", 2); });
  EXPECT_EQ(faults_of(folder / "last.h5"), "");
  EXPECT_EQ(count_files(folder.path()), 1);
}

}  // namespace
}  // namespace tapestry::test
