#include "train/run_folder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;

void touch(const fs::path& path) { std::ofstream(path) << "x"; }

TEST(RunFolder, RefusesAFolderThatHoldsARun) {
  TemporaryFolder folder;
  touch(folder / "last.h5");
  expect_error(Exit::usage, "--resume", [&] { RunFolder(folder.path(), RunFolder::Mode::fresh); });
  RunFolder resumed(folder.path(), RunFolder::Mode::resume);
  EXPECT_TRUE(fs::exists(resumed.last()));
}

TEST(RunFolder, ResumeNeedsARun) {
  TemporaryFolder folder;
  expect_error(Exit::checkpoint, "last.h5", [&] { RunFolder(folder.path(), RunFolder::Mode::resume); });
}

TEST(RunFolder, ClearRemovesTheRunAndNothingElse) {
  TemporaryFolder folder;
  for (const char* name :
       {"last.h5", "best.h5", "step-10.h5", "metrics.csv", "config.ini", "notes.txt", "step-x.h5"}) {
    touch(folder / name);
  }
  RunFolder run(folder.path(), RunFolder::Mode::overwrite);
  EXPECT_TRUE(fs::exists(folder / "last.h5"));
  run.clear();
  for (const char* name : {"last.h5", "best.h5", "step-10.h5", "metrics.csv", "config.ini"}) {
    EXPECT_FALSE(fs::exists(folder / name)) << name;
  }
  EXPECT_TRUE(fs::exists(folder / "notes.txt"));
  EXPECT_TRUE(fs::exists(folder / "step-x.h5"));
}

TEST(RunFolder, KeepsTheNewestByNumber) {
  TemporaryFolder folder;
  RunFolder run(folder.path(), RunFolder::Mode::fresh);
  for (int64_t step : {9900, 10000, 800}) touch(run.step(step));
  run.prune(2);
  EXPECT_EQ(run.numbered(), (std::vector<fs::path>{run.step(9900), run.step(10000)}));
  run.prune(0);
  EXPECT_TRUE(run.numbered().empty());
}

TEST(RunFolder, TwoRunsInOneFolderAreRefused) {
  TemporaryFolder folder;
  RunFolder first(folder.path(), RunFolder::Mode::fresh);
  expect_error(Exit::busy, "process", [&] { RunFolder(folder.path(), RunFolder::Mode::fresh); });
}

TEST(RunFolder, AFileInTheWayIsAnError) {
  TemporaryFolder folder;
  touch(folder / "taken");
  expect_error(Exit::io, "taken", [&] { RunFolder(folder / "taken", RunFolder::Mode::fresh); });
}

}  // namespace
}  // namespace tapestry::test
