#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/in_bf16.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Resume : public testing::Test, protected TinyRun {
 protected:
  void damage(const std::string& path) {
    const std::string bytes = read_text(path);
    write_text(path, bytes.substr(0, bytes.size() / 2));
  }
  ShellResult resume(const std::string& options = "") {
    return train("run", "--resume --train.max_steps 16 " + options);
  }
  int64_t last_step() { return Checkpoint(file("run", "last.h5")).state().step; }
};

TEST_F(Resume, ADamagedLastFallsBackToTheNewestThatIsWholeAndSaysSo) {
  ASSERT_EQ(train("run").status, 0);
  damage(file("run", "last.h5"));
  damage(file("run", "step-12.h5"));
  const ShellResult resumed = resume();
  EXPECT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_THAT(resumed.errors,
              AllOf(HasSubstr("last.h5' is truncated"), HasSubstr("going on from"), HasSubstr("step-8.h5")));
  EXPECT_THAT(resumed.output, HasSubstr("resuming at step 8"));
  EXPECT_EQ(last_step(), 16);
}

TEST_F(Resume, AMissingLastIsNoEnd) {
  ASSERT_EQ(train("run", "--train.keep 0").status, 0);
  fs::remove(file("run", "last.h5"));
  const ShellResult resumed = resume();
  EXPECT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_THAT(resumed.errors, HasSubstr("best.h5"));
}

TEST_F(Resume, NothingWholeIsAnErrorThatSaysWhatToDo) {
  ASSERT_EQ(train("run").status, 0);
  for (const char* name : {"last.h5", "best.h5", "step-12.h5", "step-8.h5"}) damage(file("run", name));
  const ShellResult resumed = resume();
  EXPECT_EQ(resumed.status, 7);
  EXPECT_THAT(resumed.errors, AllOf(HasSubstr("last.h5' is truncated"), HasSubstr("--overwrite")));
}

TEST_F(Resume, AWholeLastIsTakenInSilence) {
  ASSERT_EQ(train("run").status, 0);
  EXPECT_THAT(resume().errors, Not(HasSubstr("going on")));
}

TEST_F(Resume, OtherTokensAreRefused) {
  ASSERT_EQ(train("run").status, 0);
  const std::string other = folder_ / "other.h5", copy = folder_ / "copy.h5";
  write_byte_token_file(other, std::string(20'000, 'x'));
  const ShellResult refused = resume("--data.tokens " + other);
  EXPECT_EQ(refused.status, 3);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("other.h5"), HasSubstr("last.h5"), HasSubstr("train.init")));
  EXPECT_EQ(last_step(), 12);
  fs::copy_file(folder_ / "tokens.h5", copy);
  EXPECT_EQ(resume("--data.tokens " + copy).status, 0);
  EXPECT_EQ(train("new", "--data.tokens " + other + " --train.init " + file("run", "last.h5")).status, 0);
}

TEST_F(Resume, AKillBeforeTheFirstCheckpointLosesNothing) {
  const std::string line = train_line("run", "--train.max_steps 100000 --train.checkpoint_every 0");
  const ShellResult killed =
      shell(program_path() + line.substr(line.find(' ')) + " > " + (folder_ / "output") +
            " & pid=$!; for i in $(seq 500); do grep -q ' 4/' " + (folder_ / "output") +
            " && break; sleep 0.02; done; kill -KILL $pid; wait $pid");
  ASSERT_EQ(killed.status, 137);
  EXPECT_EQ(last_step(), 0);
  const ShellResult resumed = resume("--train.checkpoint_every 0");
  EXPECT_EQ(resumed.status, 0) << resumed.errors;
}

/// The validation takes much longer than a step, so that a signal soon finds it at work.
TEST_F(Resume, ASignalDuringValidationLosesNothing) {
  std::string text;
  for (int i = 0; i < 8000; ++i) text += "row " + std::to_string(i * 7 % 1000) + ", ";
  write_byte_token_file(folder_ / "long.h5", text, 0.9);
  const std::string options =
      "--train.max_steps 6 --train.log_every 1 --train.eval_tokens 0 --data.tokens " + (folder_ / "long.h5");
  ASSERT_EQ(train("whole", options).status, 0);
  TrainingState state;
  for (double wait = 0.01; wait < 10 && !(state.step == 5 && state.unfinished); wait *= 1.5) {
    const std::string line = train_line("run", options + " --overwrite"), output = folder_ / "output";
    const ShellResult stopped =
        shell(join(program_path(), line.substr(line.find(' ')), " > ", output,
                   " & pid=$!; for i in $(seq 4000); do grep -q ' 4/6 ' ", output,
                   " && break; sleep 0.005; done; sleep ", wait, "; kill -TERM $pid; wait $pid"));
    ASSERT_EQ(stopped.status, 75) << read_text(output) << stopped.errors;
    state = Checkpoint(file("run", "last.h5")).state();
  }
  ASSERT_EQ(state.step, 5);
  ASSERT_TRUE(state.unfinished);
  ASSERT_EQ(train("run", options + " --resume").status, 0);
  expect_same_run(folder_ / "whole", folder_ / "run");
}

TEST_F(Resume, IsBitExactInBfloat16AndKeepsThatPrecision) {
  SKIP_WITHOUT_BF16();
  const std::string wide = "--model.n_embd 64 --data.seq_len 128 ";
  ASSERT_EQ(train("exact", wide + "--train.max_steps 16").status, 0);
  ASSERT_EQ(train("whole", wide + "--train.max_steps 16 --run.precision bf16").status, 0);
  EXPECT_NE(steady_columns(file("exact", "metrics.csv")), steady_columns(file("whole", "metrics.csv")));
  ASSERT_EQ(train("run", wide + "--train.max_steps 16 --run.precision bf16").status, 0);
  fs::remove(file("run", "last.h5"));
  fs::remove(file("run", "best.h5"));
  fs::remove(file("run", "step-16.h5"));
  const ShellResult resumed = resume(wide);
  ASSERT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_THAT(resumed.output, HasSubstr("resuming at step 12"));
  expect_same_run(folder_ / "whole", folder_ / "run");
}

TEST_F(Resume, AnotherRunWithAsManyThreadsHasTheSameBits) {
  const std::string options = "--model.n_embd 64 --data.seq_len 128 --train.max_steps 6 --run.threads 2";
  ASSERT_EQ(train("one", options).status, 0);
  ASSERT_EQ(train("other", options).status, 0);
  expect_same_run(folder_ / "one", folder_ / "other");
}

TEST_F(Resume, MayGoOnInAnotherPrecision) {
  SKIP_WITHOUT_BF16();
  ASSERT_EQ(train("run", "--run.precision bf16").status, 0);
  EXPECT_EQ(resume("--run.precision float32").status, 0);
  EXPECT_EQ(last_step(), 16);
}

}  // namespace
}  // namespace tapestry::test
