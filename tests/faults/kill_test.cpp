#include <gtest/gtest.h>
#include <omp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>
#include <random>
#include <thread>

#include "tests/faults/save_again.h"
#include "tests/faults/saving.h"

namespace tapestry::test {
namespace {

/// How often to kill; more than the default for a release.
int number_of_kills() {
  const char* given = std::getenv("TAPESTRY_KILLS");
  return given ? std::atoi(given) : 200;
}

[[noreturn]] void save_for_ever(const std::string& mode, const std::string& path, int64_t width, int ready) {
  omp_set_num_threads(1);  // threads do not survive a fork
  try {
    save_again_and_again(mode, path, std::numeric_limits<int64_t>::max(), width, [&] {
      if (write(ready, "r", 1) != 1) _exit(1);
    });
  } catch (const Error& error) {
    std::cerr << error.what() << std::endl;
  }
  _exit(1);
}

/// Starts a process that saves for ever, and kills it `after` it has saved once.
void kill_while_saving(const std::string& mode, const std::string& path, std::chrono::microseconds after,
                       int64_t width = 64) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) save_for_ever(mode, path, width, ready[1]);
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  std::this_thread::sleep_for(after);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  close(ready[0]);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the fault did not fire";
}

/// Kills at random times; returns how many files could not be used afterwards.
int unusable_after_kills(const std::string& mode, const std::string& path, int kills) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> microseconds(0, 10'000);
  int unusable = 0;
  for (int i = 0; i < kills; ++i) {
    kill_while_saving(mode, path, std::chrono::microseconds(microseconds(random)));
    if (testing::Test::HasFatalFailure()) return -1;
    const std::string faults = faults_of(path);
    unusable += !faults.empty();
    if (mode != "in-place") {
      EXPECT_EQ(faults, "") << "kill " << i;
    }
  }
  return unusable;
}

TEST(Kill, AtAnyTimeLeavesAWholeCheckpoint) {
  const TemporaryFolder folder;
  EXPECT_EQ(unusable_after_kills("atomic", folder / "last.h5", number_of_kills()), 0);
  TinyCheckpoint().save(folder / "last.h5", 1);
  EXPECT_EQ(count_files(folder.path()), 1) << "what the killed left is still there";
}

TEST(Kill, AtAnyTimeOfAStreamedSaveLeavesAWholeCheckpoint) {
  const TemporaryFolder folder;
  EXPECT_EQ(unusable_after_kills("streamed", folder / "last.h5", number_of_kills() / 4), 0);
}

/// A width of 1536 makes 340 MB, which is more than is ever built in memory.
TEST(Kill, OfALargeSaveLeavesAWholeCheckpoint) {
  const TemporaryFolder folder;
  const std::string path = folder / "last.h5";
  for (const int milliseconds : {20, 200, 500, 900}) {
    kill_while_saving("atomic", path, std::chrono::milliseconds(milliseconds), 1536);
    ASSERT_GT(std::filesystem::file_size(path), VerifiedWriter::kMemoryLimit);
    EXPECT_EQ(faults_of(path), "") << milliseconds;
  }
}

TEST(Kill, FindsAWriterThatOverwrites) {
  const TemporaryFolder folder;
  EXPECT_GT(unusable_after_kills("in-place", folder / "last.h5", 40), 0);
}

}  // namespace
}  // namespace tapestry::test
