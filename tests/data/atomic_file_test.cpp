#include "data/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {
namespace fs = std::filesystem;

constexpr const char* kOld = "the old content";

std::string big_content() {
  std::string content(100'000, ' ');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i * 7 % 26);
  return content;
}

// Fails the n-th of all calls with `error`; `fired` tells whether there was an n-th.
struct FailNth {
  int n, error;
  int count = 0;
  bool fired = false;

  bool now() {
    if (++count != n) return false;
    fired = true;
    errno = error;
    return true;
  }
  FileCalls calls() {
    const FileCalls real = FileCalls::system();
    FileCalls faulty = real;
    faulty.open = [=, this](const char* path, int flags, mode_t mode) {
      return now() ? -1 : real.open(path, flags, mode);
    };
    faulty.pwrite = [=, this](int fd, const void* data, size_t size, off_t offset) {
      return now() ? -1 : real.pwrite(fd, data, std::min<size_t>(size, 40'000), offset);
    };
    faulty.fsync = [=, this](int fd) { return now() ? -1 : real.fsync(fd); };
    faulty.close = [=, this](int fd) {
      const int result = real.close(fd);
      return now() ? -1 : result;
    };
    faulty.rename = [=, this](const char* from, const char* to) {
      return now() ? -1 : real.rename(from, to);
    };
    faulty.link = [=, this](const char* from, const char* to) { return now() ? -1 : real.link(from, to); };
    return faulty;
  }
};

TEST(AtomicFile, WritesWhatWasAppendedAndPatched) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.bin");
  file.append("0123456789");
  file.write_at(3, "xyz", 3);
  file.append("end");
  EXPECT_FALSE(fs::exists(folder / "a.bin"));
  char back[4] = {};
  EXPECT_EQ(file.read_at(10, back, 4), 3u);
  EXPECT_STREQ(back, "end");
  file.commit();
  EXPECT_EQ(read_text(folder / "a.bin"), "012xyz6789end");
  EXPECT_EQ(count_files(folder.path()), 1);
}

TEST(AtomicFile, EveryCallMayFailAndTheOldFileSurvives) {
  const std::string content = big_content();
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    int faults = 0;
    for (int n = 1;; ++n) {
      const TemporaryFolder folder;
      write_file_atomically(folder / "a.bin", kOld);
      FailNth fault{n, error};
      try {
        AtomicFile file(folder / "a.bin", fault.calls());
        file.append(content);
        file.commit();
        EXPECT_TRUE(!fault.fired || read_text(folder / "a.bin") == content);
      } catch (const Error& caught) {
        EXPECT_EQ(caught.exit(), Exit::io);
        EXPECT_NE(std::string(caught.what()).find("a.bin"), std::string::npos);
        EXPECT_NE(std::string(caught.what()).find(std::strerror(error)), std::string::npos) << caught.what();
        const std::string now = read_text(folder / "a.bin");
        EXPECT_TRUE(now == kOld || now == content) << "call " << n;
      }
      EXPECT_EQ(count_files(folder.path()), 1) << "call " << n;
      if (!fault.fired) break;
      ++faults;
    }
    // open, three writes, fsync, close, rename, open, fsync and close of the folder
    EXPECT_EQ(faults, 10);
  }
}

TEST(AtomicFile, FailuresBeforeTheRenameKeepTheOldContent) {
  for (int n = 1; n <= 7; ++n) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "a.bin", kOld);
    FailNth fault{n, EIO};
    const auto save = [&] {
      AtomicFile file(folder / "a.bin", fault.calls());
      file.append(big_content());
      file.commit();
    };
    EXPECT_THROW(save(), Error) << n;
    EXPECT_EQ(read_text(folder / "a.bin"), kOld) << n;
  }
}

TEST(AtomicFile, InterruptedAndShortCallsGoOn) {
  const std::string content = big_content();
  for (int n = 1; n <= 5; ++n) {
    const TemporaryFolder folder;
    FailNth fault{n, EINTR};
    AtomicFile file(folder / "a.bin", fault.calls());
    file.append(content);
    file.commit();
    EXPECT_TRUE(fault.fired);
    EXPECT_EQ(read_text(folder / "a.bin"), content) << n;
  }
}

TEST(AtomicFile, AWriteOfNothingIsAFullDisk) {
  const TemporaryFolder folder;
  FileCalls calls = FileCalls::system();
  calls.pwrite = [](int, const void*, size_t, off_t) { return 0; };
  AtomicFile file(folder / "a.bin", calls);
  EXPECT_THROW(file.append("x"), Error);
}

TEST(AtomicFile, SyncsTheFileBeforeTheRenameAndTheFolderAfterIt) {
  const TemporaryFolder folder;
  std::string order;
  FileCalls calls = FileCalls::system();
  calls.fsync = [&](int fd) {
    struct stat status;
    fstat(fd, &status);
    order += S_ISDIR(status.st_mode) ? "folder " : "file ";
    return 0;
  };
  calls.rename = [&](const char* from, const char* to) {
    order += "rename ";
    return std::rename(from, to);
  };
  AtomicFile file(folder / "a.bin", calls);
  file.append("x");
  file.commit();
  EXPECT_EQ(order, "file rename folder ");
}

TEST(AtomicFile, SharingGivesTheFileASecondName) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "new.bin", "new");
  write_file_atomically(folder / "last.bin", kOld);
  share_file_atomically(folder / "new.bin", folder / "last.bin");
  EXPECT_TRUE(fs::equivalent(folder / "new.bin", folder / "last.bin"));
  share_file_atomically(folder / "new.bin", folder / "last.bin");
  EXPECT_EQ(count_files(folder.path()), 2);
  write_file_atomically(folder / "last.bin", "newer");
  EXPECT_EQ(read_text(folder / "new.bin"), "new");
}

TEST(AtomicFile, SharingCopiesWhereThereAreNoHardLinks) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "new.bin", big_content());
  FileCalls calls = FileCalls::system();
  calls.link = [](const char*, const char*) {
    errno = EPERM;
    return -1;
  };
  share_file_atomically(folder / "new.bin", folder / "last.bin", calls);
  EXPECT_FALSE(fs::equivalent(folder / "new.bin", folder / "last.bin"));
  EXPECT_EQ(read_text(folder / "last.bin"), big_content());
  EXPECT_EQ(count_files(folder.path()), 2);
}

TEST(AtomicFile, EveryCallOfSharingMayFailAndBothFilesSurvive) {
  for (int n = 1;; ++n) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "new.bin", "new");
    write_file_atomically(folder / "last.bin", kOld);
    FailNth fault{n, EIO};
    try {
      share_file_atomically(folder / "new.bin", folder / "last.bin", fault.calls());
      EXPECT_EQ(read_text(folder / "last.bin"), "new") << n;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::io);
      const std::string last = read_text(folder / "last.bin");
      EXPECT_TRUE(last == kOld || last == "new") << n;
    }
    EXPECT_EQ(read_text(folder / "new.bin"), "new") << n;
    EXPECT_EQ(count_files(folder.path()), 2) << n;
    if (fault.fired) continue;
    EXPECT_GE(n, 9);  // open, close, link, open; fsync, close, rename; open, fsync and close of the folder
    break;
  }
}

// Numbers of processes come again, in containers above all.
TEST(AtomicFile, NeverWritesIntoWhatAProcessOfTheSameNumberLeft) {
  const TemporaryFolder folder;
  write_text(folder / "whole.bin", kOld);
  fs::create_hard_link(folder / "whole.bin", folder / join("a.bin.tmp-", getpid()));
  write_file_atomically(folder / "a.bin", "new");
  EXPECT_EQ(read_text(folder / "whole.bin"), kOld);
  EXPECT_EQ(read_text(folder / "a.bin"), "new");
}

TEST(AtomicFile, ModeIsThatOfANormalCreate) {
  for (const mode_t mask : {022, 077, 002}) {
    const TemporaryFolder folder;
    const mode_t before = umask(mask);
    write_file_atomically(folder / "a.bin", "x");
    umask(before);
    struct stat status;
    ASSERT_EQ(stat((folder / "a.bin").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0666 & ~mask);
  }
}

TEST(AtomicFile, FollowsALinkAndTakesLongNames) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "real.bin", "old");
  fs::create_symlink("real.bin", folder / "link.bin");
  write_file_atomically(folder / "link.bin", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link.bin"));
  EXPECT_EQ(read_text(folder / "real.bin"), "new");

  const std::string name(255, 'n');
  write_file_atomically(folder / name, "long");
  EXPECT_EQ(read_text(folder / name), "long");
}

TEST(AtomicFile, RefusesFoldersDevicesAndMissingFolders) {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.path(), std::string("/dev/null"), folder / "none/a.bin"}) {
    try {
      AtomicFile file(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::io);
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    }
  }
}

TEST(AtomicFile, RemovesLeftoversOfDeadProcessesOnly) {
  const TemporaryFolder folder;
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  write_text(folder / join("a.bin.tmp-", dead), "left by a dead process");
  write_text(folder / join("a.bin.tmp-", getppid()), "of a living process");
  write_text(folder / join("b.bin.tmp-", dead), "of another file");
  write_text(folder / "a.bin.tmp-notes", "somebody's notes");
  write_file_atomically(folder / "a.bin", "x");
  EXPECT_FALSE(fs::exists(folder / join("a.bin.tmp-", dead)));
  EXPECT_EQ(count_files(folder.path()), 4);
}

}  // namespace
}  // namespace tapestry
