#include <gmock/gmock.h>

#include <map>
#include <sstream>

#include "tests/faults/saving.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

constexpr const char* kCalls =
    "openat,pwrite64,write,writev,fsync,close,rename,unlink,ftruncate,lseek,getdents64";

/// Faults put into single system calls of a save by strace.
class SystemCalls : public testing::Test {
 protected:
  void SetUp() override {
    if (shell("strace -o /dev/null true").status != 0) GTEST_SKIP() << "strace is missing or may not trace";
  }

  std::string line(const std::string& mode) { return save_loop(mode, path_, 2, 8); }

  /// The calls of the second save: how many of each name there were before it, and with it.
  std::map<std::string, std::pair<int, int>> calls_of_second_save(const std::string& mode) {
    EXPECT_EQ(shell("strace -o " + log_ + " -e trace=" + kCalls + " " + line(mode)).status, 0);
    std::istringstream log(read_text(log_));
    std::map<std::string, std::pair<int, int>> calls;
    bool ready = false;
    for (std::string call; std::getline(log, call);) {
      const std::string name = call.substr(0, call.find('('));
      if (name.find(' ') != std::string::npos) continue;  // not a call: "+++ exited with 0 +++"
      calls[name].first += !ready;
      calls[name].second += 1;
      ready |= call.starts_with("write(1, \"ready");
    }
    EXPECT_TRUE(ready);
    return calls;
  }

  /// Runs both saves with the fault in the k-th call of this name; `when` is "3" or, from then on, "3+".
  ShellResult inject(const std::string& mode, const std::string& call, const std::string& fault,
                     const std::string& when) {
    TinyCheckpoint().save(path_, 1);
    return shell("strace -o " + log_ + " -e trace=" + call + " -e inject=" + call + ":" + fault +
                 ":when=" + when + " " + line(mode));
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "last.h5";
  std::string log_ = folder_ / "strace.log";
};

TEST_F(SystemCalls, AKillAtAnyOfASaveLeavesAWholeCheckpoint) {
  for (const char* mode : {"atomic", "streamed"}) {
    int kills = 0;
    for (const auto& [call, count] : calls_of_second_save(mode)) {
      for (int k = count.first + 1; k <= count.second; ++k, ++kills) {
        SCOPED_TRACE(join(mode, " ", call, " ", k));
        ASSERT_EQ(inject(mode, call, "signal=KILL", std::to_string(k)).status, 137)
            << "the fault did not fire";
        EXPECT_EQ(faults_of(path_), "");
      }
    }
    EXPECT_GE(kills, 9);  // open, two writes, fsync, close, rename; open, fsync and close of the folder
  }
}

TEST_F(SystemCalls, AKillFindsAWriterThatOverwrites) {
  int unusable = 0;
  for (const auto& [call, count] : calls_of_second_save("in-place")) {
    for (int k = count.first + 1; k <= count.second; ++k) {
      ASSERT_EQ(inject("in-place", call, "signal=KILL", std::to_string(k)).status, 137);
      unusable += !faults_of(path_).empty();
    }
  }
  EXPECT_GT(unusable, 0);
}

/// One call of a save fails: the save goes on as if nothing was, or ends with an error that names the file.
class FailingCalls : public SystemCalls, public testing::WithParamInterface<const char*> {};

TEST_P(FailingCalls, AreErrorsAndLeaveAWholeCheckpoint) {
  const std::string mode = GetParam();
  for (const auto& [call, count] : calls_of_second_save(mode)) {
    if (call == "unlink") continue;
    for (int k = count.first + 1; k <= count.second; ++k) {
      for (const char* fault : {"EIO", "EIO+", "ENOSPC", "ENOSPC+"}) {
        SCOPED_TRACE(join(call, " ", k, " ", fault));
        const std::string error = std::string(fault).substr(0, std::string(fault).find('+'));
        const std::string more = std::string(fault).substr(error.size());
        const ShellResult result = inject(mode, call, "error=" + error, std::to_string(k) + more);
        ASSERT_THAT(read_text(log_), HasSubstr("(INJECTED)")) << "the fault did not fire";
        EXPECT_EQ(faults_of(path_), "");
        // What fails behind the rename and the sync of the folder, such as the look for leftovers, may pass.
        if (result.status == 0) {
          EXPECT_EQ(Checkpoint(path_).state().step, 2);
        } else {
          EXPECT_EQ(result.status, 4) << result.errors;
          EXPECT_THAT(result.errors, HasSubstr("last.h5"));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfASave, FailingCalls, testing::Values("atomic", "streamed"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tapestry::test
