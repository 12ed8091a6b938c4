#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "tests/faults/saving.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPage = 4096;

/// What a file may hold after a loss of power, from what was synced last and what was written since: each
/// changed page old or new, the file as long as it was or is, or cut at any page.
std::set<std::string> contents_after_loss(const std::string& synced, const std::string& now) {
  std::set<std::string> contents = {synced, now};
  if (synced == now) return contents;
  std::string old = synced;
  old.resize(now.size(), '\0');
  const size_t pages = (now.size() + kPage - 1) / kPage;
  std::mt19937 random(3);
  const auto mixture = [&](const auto& keeps) {
    std::string mixed = old;
    for (size_t page = 0; page < pages; ++page)
      if (keeps(page)) mixed.replace(page * kPage, kPage, now, page * kPage, kPage);
    contents.insert(mixed);
  };
  for (size_t page = 0; page < pages; ++page) {
    contents.insert(now.substr(0, page * kPage));
    mixture([&](size_t other) { return other != page; });
    mixture([&](size_t other) { return other < page; });
  }
  for (int i = 0; i < 20; ++i) mixture([&](size_t) { return random() % 2 == 0; });
  return contents;
}

/// Follows the calls of saves in one folder, and knows which contents a file could have after a loss of power
/// at any moment since: a file's pages and length, and the names in the folder, are sure only when they were
/// synced; until then each change may have happened or not, in any order.
class Disk {
 public:
  /// Calls that do what they should, but for the syncs left out, and tell this disk.
  FileCalls calls(bool sync_files = true, bool sync_folder = true) {
    const FileCalls real = FileCalls::system();
    FileCalls calls = real;
    calls.open = [=, this](const char* path, int flags, mode_t mode) {
      const int fd = real.open(path, flags, mode);
      if (fd >= 0) paths_[fd] = path;
      if (flags & O_CREAT) rename("", path);
      return fd;
    };
    calls.pwrite = [=, this](int fd, const void* data, size_t size, off_t offset) {
      const ssize_t written = real.pwrite(fd, data, size, offset);
      look();
      return written;
    };
    calls.fsync = [=, this](int fd) {
      struct stat status;
      fstat(fd, &status);
      look();  // at what a library has written by name
      if (S_ISDIR(status.st_mode) && sync_folder) changes_.clear(), names_ = names_now_;
      if (!S_ISDIR(status.st_mode) && sync_files)
        files_[names_now_.at(paths_.at(fd))].synced = read_text(paths_.at(fd));
      look();
      return 0;
    };
    calls.rename = [=, this](const char* from, const char* to) {
      const int result = real.rename(from, to);
      rename(from, to);
      look();
      return result;
    };
    calls.link = [=, this](const char* from, const char* to) {
      const int result = real.link(from, to);
      names_now_[to] = names_now_.at(from);
      changes_.push_back({"", to, names_now_[to]});
      look();
      return result;
    };
    return calls;
  }

  /// Everything that a name could have held at some moment since the last forget(); "" if nothing.
  const std::set<std::string>& seen(const std::string& path) { return seen_[path]; }
  void forget() { seen_.clear(); }
  /// The contents possible now.
  void look() {
    for (const auto& [path, file] : names_now_)
      if (fs::exists(path)) files_[file].now = read_text(path);
    for (uint32_t happened = 0; happened < 1u << changes_.size(); ++happened) {
      auto names = names_;
      for (size_t i = 0; i < changes_.size(); ++i) {
        if (!(happened >> i & 1)) continue;
        if (!changes_[i].from.empty()) names.erase(changes_[i].from);
        names[changes_[i].to] = changes_[i].file;
      }
      for (const auto& [path, file] : names)
        seen_[path].merge(contents_after_loss(files_[file].synced, files_[file].now));
    }
  }

 private:
  struct File {
    std::string synced, now;
  };
  /// The file `file` got the name `to`, and lost `from` if it had one.
  struct Change {
    std::string from, to;
    int file;
  };

  void rename(const std::string& from, const std::string& to) {
    const int file = from.empty() ? next_file_++ : names_now_.at(from);
    names_now_.erase(from);
    names_now_[to] = file;
    changes_.push_back({from, to, file});
  }

  std::map<int, std::string> paths_;
  std::map<int, File> files_;
  std::map<std::string, int> names_, names_now_;  // as synced, and as they are
  std::vector<Change> changes_;
  std::map<std::string, std::set<std::string>> seen_;
  int next_file_ = 0;
};

/// The steps of the checkpoints that a name could lead to after a loss of power; -1 for one that is not
/// whole.
std::set<int64_t> steps(Disk& disk, const std::string& path) {
  const TemporaryFolder elsewhere;
  std::set<int64_t> steps;
  for (const std::string& content : disk.seen(path)) {
    const std::string copy = elsewhere / "copy.h5";
    fs::remove(copy);
    write_text(copy, content);
    steps.insert(faults_of(copy).empty() ? Checkpoint(copy).state().step : -1);
  }
  return steps;
}

/// Whether the checkpoint is built in memory or streamed.
class PowerLoss : public testing::TestWithParam<int64_t> {
 protected:
  void save(Disk& disk, int64_t step, bool sync_files = true, bool sync_folder = true) {
    checkpoint_.save(path_, step, disk.calls(sync_files, sync_folder), GetParam());
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "last.h5";
  TinyCheckpoint checkpoint_;
};

TEST_P(PowerLoss, AtAnyMomentOfASaveLeavesTheOldOrTheNewCheckpoint) {
  Disk disk;
  save(disk, 1);
  disk.forget();
  save(disk, 2);
  EXPECT_THAT(steps(disk, path_), testing::ElementsAre(1, 2));
  disk.forget();
  disk.look();
  EXPECT_THAT(steps(disk, path_), testing::ElementsAre(2)) << "a save that returned is safe";
}

TEST_P(PowerLoss, FindsAWriterThatDoesNotSyncTheFile) {
  Disk disk;
  save(disk, 1);
  disk.forget();
  save(disk, 2, false, true);
  EXPECT_THAT(steps(disk, path_), testing::Contains(-1));
}

TEST_P(PowerLoss, FindsAWriterThatDoesNotSyncTheFolder) {
  Disk disk;
  save(disk, 1);
  save(disk, 2, true, false);
  disk.forget();
  disk.look();
  EXPECT_THAT(steps(disk, path_), testing::ElementsAre(1, 2)) << "the save returned, but may be lost";
}

TEST_P(PowerLoss, ASecondNameIsOldOrNewToo) {
  Disk disk;
  const std::string numbered = folder_ / "step-2.h5";
  save(disk, 1);
  checkpoint_.save(numbered, 2, disk.calls(), GetParam());
  disk.forget();
  share_file_atomically(numbered, path_, disk.calls());
  EXPECT_THAT(steps(disk, path_), testing::ElementsAre(1, 2));
  EXPECT_THAT(steps(disk, numbered), testing::ElementsAre(2));
}

INSTANTIATE_TEST_SUITE_P(OfCheckpoints, PowerLoss, testing::Values(VerifiedWriter::kMemoryLimit, 0),
                         [](const auto& info) { return info.param > 0 ? "InMemory" : "Streamed"; });

}  // namespace
}  // namespace tapestry::test
