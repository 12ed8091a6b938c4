#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/faults/saving.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

/// How often to kill; more than the default for a release.
int number_of_kills() {
  const char* given = std::getenv("TAPESTRY_KILLS");
  return given ? std::atoi(given) : 200;
}

/// Starts a program that saves for ever, and kills it `after` it has saved once.
void kill_while_saving(const std::string& mode, const std::string& path, std::chrono::microseconds after,
                       int64_t width = 64) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const std::string line = "exec " + save_loop(mode, path, 1'000'000'000, width);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ready[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
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
  std::uniform_int_distribution<int> microseconds(0, 20'000);
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
