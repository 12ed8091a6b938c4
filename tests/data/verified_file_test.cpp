#include "data/verified_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "data/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {
namespace fs = std::filesystem;

const FileKind kKind{"checkpoint", 2, Exit::checkpoint};

std::vector<float> weights(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.5f);
  return values;
}

// Streams when `memory_limit` is 0.
std::string save(const std::string& path, size_t n, int64_t memory_limit = VerifiedWriter::kMemoryLimit,
                 FileCalls calls = FileCalls::system()) {
  VerifiedWriter writer(path, kKind, static_cast<int64_t>(n * sizeof(float)), std::move(calls), memory_limit);
  writer.hdf5().write("model/w", {static_cast<int64_t>(n)}, weights(n).data());
  return writer.commit();
}

// A new file each time: some file systems flush one that is truncated and written again.
void write_anew(const std::string& path, const std::string& content) {
  fs::remove(path);
  write_text(path, content);
}

TEST(VerifiedFile, MemoryAndStreamReadBackTheSame) {
  const TemporaryFolder folder;
  for (const int64_t limit : {VerifiedWriter::kMemoryLimit, int64_t{0}}) {
    for (const size_t n : {size_t{1}, size_t{1'000'000}}) {
      const std::string hash = save(folder / "a.h5", n, limit);
      EXPECT_EQ(open_verified(folder / "a.h5", kKind).hdf5.read<float>("model/w"), weights(n));
      const VerifiedHeader header = verify_file(folder / "a.h5", Exit::input);
      const std::string bytes = read_text(folder / "a.h5");
      EXPECT_EQ(header.sha256, hash);
      EXPECT_EQ(header.sha256, Sha256().update(std::string_view(bytes).substr(512)).hex());
      EXPECT_EQ(header.length + 512, static_cast<int64_t>(bytes.size()));
      EXPECT_EQ(header.kind, "checkpoint");
      EXPECT_TRUE(has_verified_magic(folder / "a.h5"));
      EXPECT_EQ(count_files(folder.path()), 1);
    }
  }
}

TEST(VerifiedFile, EveryFlippedBitOfASmallFileIsFound) {
  const TemporaryFolder folder;
  save(folder / "a.h5", 4);
  const std::string good = read_text(folder / "a.h5");
  for (size_t i = 0; i < good.size(); i += (i < 700 ? 1 : 37)) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    write_anew(folder / "bad.h5", bad);
    expect_error(Exit::checkpoint, "bad.h5", [&] { open_verified(folder / "bad.h5", kKind); });
  }
}

// As a trainer replaces last.h5 while another process reads it.
TEST(VerifiedFile, WhatIsReadIsWhatWasVerifiedWhileItIsReplaced) {
  const TemporaryFolder folder;
  std::map<std::string, size_t> written = {{save(folder / "last.h5", 300'000), 300'000}};
  std::atomic<bool> done = false;
  std::thread trainer([&] {
    for (size_t n = 300'001; !done; ++n) {
      written[save(folder / "last.h5", n)] = n;
      std::this_thread::sleep_for(std::chrono::milliseconds(n * 7 % 30));
    }
  });
  std::vector<std::pair<std::string, size_t>> found;
  for (int i = 0; i < 60; ++i) {
    const VerifiedFile file = open_verified(folder / "last.h5", kKind);
    found.emplace_back(file.sha256, file.hdf5.read<float>("model/w").size());
  }
  done = true;
  trainer.join();
  for (const auto& [sha256, size] : found) EXPECT_EQ(size, written.at(sha256));
}

TEST(VerifiedFile, EveryTruncationIsFoundAndNamed) {
  const TemporaryFolder folder;
  save(folder / "a.h5", 4);
  const std::string good = read_text(folder / "a.h5");
  for (size_t size = 0; size < good.size(); size += (size < 600 ? 1 : 41)) {
    write_anew(folder / "bad.h5", good.substr(0, size));
    const std::string part = size < 11    ? "magic"
                             : size < 512 ? "truncated"
                                          : join("truncated: expected ", good.size(), " bytes, found ", size);
    expect_error(Exit::checkpoint, part, [&] { verify_file(folder / "bad.h5", Exit::checkpoint); });
  }
  write_anew(folder / "bad.h5", good + "x");
  expect_error(Exit::checkpoint, "damaged", [&] { verify_file(folder / "bad.h5", Exit::checkpoint); });
}

TEST(VerifiedFile, RefusesOtherKindsVersionsAndFiles) {
  const TemporaryFolder folder;
  save(folder / "a.h5", 4);
  expect_error(Exit::input, "is a checkpoint, expected a token file", [&] {
    open_verified(folder / "a.h5", {"token file", 1, Exit::input});
  });
  expect_error(Exit::checkpoint, "format version 2", [&] {
    open_verified(folder / "a.h5", {"checkpoint", 1, Exit::checkpoint});
  });
  Hdf5File::create(folder / "plain.h5").close();
  expect_error(Exit::input, "magic", [&] { verify_file(folder / "plain.h5", Exit::input); });
  expect_error(Exit::input, "none.h5", [&] { verify_file(folder / "none.h5", Exit::input); });
  expect_error(Exit::input, "regular", [&] { verify_file(folder.path(), Exit::input); });
  EXPECT_FALSE(has_verified_magic(folder / "plain.h5"));
}

TEST(VerifiedFile, AFailedSaveLeavesTheOldFile) {
  for (const int64_t limit : {VerifiedWriter::kMemoryLimit, int64_t{0}}) {
    const TemporaryFolder folder;
    save(folder / "a.h5", 4);
    FileCalls calls = FileCalls::system();
    calls.pwrite = [](int, const void*, size_t, off_t) -> ssize_t {
      errno = ENOSPC;
      return -1;
    };
    expect_error(Exit::io, "No space left", [&] { save(folder / "a.h5", 1000, limit, calls); });
    EXPECT_EQ(open_verified(folder / "a.h5", kKind).hdf5.read<float>("model/w"), weights(4));
    EXPECT_EQ(count_files(folder.path()), 1);
  }
}

// libhdf5's own exit handler would die of a signal here.
TEST(VerifiedFile, AFileSizeLimitIsAnErrorAndNoCrash) {
  const TemporaryFolder folder;
  const auto save_with_limit = [&](int64_t memory_limit) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save(folder / "a.h5", 1'000'000, memory_limit);
    } catch (const Error& error) {
      std::cerr << error.what() << "\n";
      std::exit(static_cast<int>(error.exit()));
    }
    std::exit(0);
  };
  const std::string message = "cannot write .*a.h5': File too large";
  EXPECT_EXIT(save_with_limit(VerifiedWriter::kMemoryLimit), testing::ExitedWithCode(4), message);
  EXPECT_EXIT(save_with_limit(0), testing::ExitedWithCode(4), message);
  EXPECT_EQ(count_files(folder.path()), 0);
}

TEST(VerifiedFile, H5pyReadsIt) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) GTEST_SKIP() << "no python3-h5py";
  const TemporaryFolder folder;
  for (const int64_t limit : {VerifiedWriter::kMemoryLimit, int64_t{0}}) {
    save(folder / "a.h5", 5, limit);
    const std::string script =
        "import h5py,sys; f=h5py.File(sys.argv[1],'r'); "
        "assert f['model/w'][:].tolist()==[0.5,1.5,2.5,3.5,4.5]; assert f.attrs['format']=='checkpoint'";
    EXPECT_EQ(std::system(("/usr/bin/python3 -c \"" + script + "\" " + (folder / "a.h5")).c_str()), 0);
  }
}

}  // namespace
}  // namespace tapestry
