#include <gtest/gtest.h>
#include <omp.h>

#include <filesystem>

#include "base/program.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint.h"
#include "train/commands.h"

namespace tapestry::test {
namespace {

class TrainCommand : public testing::Test, protected TinyRun {};

TEST_F(TrainCommand, LowersTheLossAndWritesWhatItPromises) {
  const ShellResult result = train("run", "--train.max_steps 60 --model.dropout 0");
  ASSERT_EQ(result.status, 0) << result.errors;
  const TrainingState state = Checkpoint(file("run", "last.h5")).state();
  EXPECT_EQ(state.step, 60);
  EXPECT_EQ(state.tokens, 60 * 2 * 3 * 24);
  EXPECT_LT(state.history.back().valid_loss, state.history.front().valid_loss - 1.5);
  for (const char* name : {"best.h5", "step-60.h5", "step-56.h5", "config.ini", "metrics.csv"}) {
    EXPECT_TRUE(std::filesystem::exists(file("run", name))) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(file("run", "step-52.h5")));
  EXPECT_NE(result.output.find("tok/s"), std::string::npos) << result.output;
}

TEST_F(TrainCommand, StoppedBySignalAndResumedIsTheUndisturbedRunBitForBit) {
  const std::string longer = "--train.max_steps 300 --train.eval_every 100 --train.checkpoint_every 100 ";
  ASSERT_EQ(train("whole", longer).status, 0);
  // The signal comes once the run has printed step 40, wherever it is by then.
  const std::string output = folder_ / "output";
  const std::string line = train_line("parts", longer);
  const ShellResult stopped = shell(program_path() + line.substr(line.find(' ')) + " > " + output +
                                    " & pid=$!; for i in $(seq 500); do grep -q ' 40/300 ' " + output +
                                    " && break; sleep 0.02; done; kill -TERM $pid; wait $pid");
  ASSERT_EQ(stopped.status, 75) << stopped.errors << read_text(output);
  EXPECT_LT(Checkpoint(file("parts", "last.h5")).state().step, 300);
  ASSERT_EQ(train("parts", longer + "--resume").status, 0);
  expect_same_run(folder_ / "whole", folder_ / "parts");
}

TEST_F(TrainCommand, SplitAtEveryStepGivesTheSameBits) {
  const std::string constant = "--optim.schedule constant --train.eval_every 1 ";
  ASSERT_EQ(train("whole", constant + "--train.max_steps 6").status, 0);
  for (int k = 1; k < 6; ++k) {
    const std::string out = "split" + std::to_string(k);
    ASSERT_EQ(train(out, constant + "--train.max_steps " + std::to_string(k)).status, 0);
    const ShellResult resumed = train(out, constant + "--resume --train.max_steps 6");
    ASSERT_EQ(resumed.status, 0) << resumed.errors;
    expect_same_run(folder_ / "whole", folder_ / out);
  }
}

TEST_F(TrainCommand, ACheckpointIsWrittenOnceAndHasTwoNames) {
  ASSERT_EQ(train("run").status, 0);
  EXPECT_TRUE(std::filesystem::equivalent(file("run", "step-12.h5"), file("run", "last.h5")));
  EXPECT_FALSE(std::filesystem::equivalent(file("run", "best.h5"), file("run", "last.h5")));
  EXPECT_EQ(Checkpoint(file("run", "last.h5")).state().step, 12);
  EXPECT_EQ(Checkpoint(file("run", "step-8.h5")).state().step, 8);
  ASSERT_EQ(train("run", "--resume --train.max_steps 13").status, 0);
  EXPECT_EQ(Checkpoint(file("run", "last.h5")).state().step, 13);
  EXPECT_EQ(Checkpoint(file("run", "step-12.h5")).state().step, 12);
}

TEST_F(TrainCommand, AnotherSeedIsAnotherRun) {
  ASSERT_EQ(train("a", "--train.max_steps 3").status, 0);
  ASSERT_EQ(train("b", "--train.max_steps 3 --run.seed 5").status, 0);
  EXPECT_NE(floats(Hdf5File::open(file("a", "last.h5")), "model"),
            floats(Hdf5File::open(file("b", "last.h5")), "model"));
}

TEST_F(TrainCommand, RefusesAnOldRunUnlessTold) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const ShellResult refused = train("run");
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.errors.find("--resume"), std::string::npos) << refused.errors;
  EXPECT_EQ(train("run", "--overwrite --train.max_steps 2").status, 0);
  EXPECT_EQ(train("none", "--resume").status, 7);
}

TEST_F(TrainCommand, WhatCannotStartOverwritesNothing) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const std::string before = read_text(file("run", "last.h5"));
  EXPECT_EQ(train("run", "--overwrite --data.tokens /nowhere.h5").status, 3);
  EXPECT_EQ(read_text(file("run", "last.h5")), before);
  const ShellResult from_itself =
      shell("tapestry train --data.tokens " + (folder_ / "tokens.h5") + " --train.max_steps 1 --train.out " +
            (folder_ / "run") + " --overwrite --train.init " + file("run", "last.h5"));
  EXPECT_EQ(from_itself.status, 0) << from_itself.errors;
}

TEST_F(TrainCommand, AResumedRunKeepsItsNumberOfThreads) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);  // with one thread
  const int threads = omp_get_max_threads();
  omp_set_num_threads(3);
  testing::internal::CaptureStdout();
  EXPECT_EQ(dispatch({"train", "--train.out", folder_ / "run", "--resume", "--train.max_steps", "2"},
                     {train_command()}),
            0);
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(omp_get_max_threads(), 1);
  omp_set_num_threads(threads);
}

TEST_F(TrainCommand, TheBestLossIsOfOneValidationSet) {
  const std::string forgetful = "--optim.learning_rate 1e-6 --optim.min_lr 0 ";
  ASSERT_EQ(train("run", forgetful + "--train.max_steps 6 --train.eval_tokens 30").status, 0);
  const ShellResult resumed =
      train("run", forgetful + "--resume --train.max_steps 12 --train.eval_tokens 600");
  ASSERT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_NE(resumed.output.find("begins anew"), std::string::npos) << resumed.output;
  EXPECT_GT(Checkpoint(file("run", "last.h5")).state().best_step, 6);
}

TEST_F(TrainCommand, ResumeRefusesOtherOptions) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const ShellResult refused = train("run", "--resume --optim.learning_rate 1 --model.n_embd 32");
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.errors.find("optim.learning_rate"), std::string::npos) << refused.errors;
  EXPECT_NE(refused.errors.find("model.n_embd"), std::string::npos) << refused.errors;
}

TEST_F(TrainCommand, ALossThatIsNotFiniteStopsBeforeTheUpdate) {
  const ShellResult result = train(
      "run",
      "--optim.learning_rate 1e30 --optim.grad_clip 0 --optim.warmup_steps 0 --optim.schedule constant");
  EXPECT_EQ(result.status, 5) << result.output << result.errors;
  EXPECT_NE(result.errors.find("step "), std::string::npos) << result.errors;
  Checkpoint(file("run", "last.h5"));
}

TEST_F(TrainCommand, MistakesAreOneClearError) {
  EXPECT_EQ(train("run", "--model.n_heads 3").status, 2);
  EXPECT_NE(train("run", "--model.n_heads 3").errors.find("n_head"), std::string::npos);
  EXPECT_EQ(train("run", "--model.n_head 3").status, 2);
  EXPECT_EQ(train("run", "--model.vocab_size 100").status, 3);
  EXPECT_EQ(train("run", "--data.seq_len 100000").status, 3);
  EXPECT_EQ(train("run", "--data.tokens /nowhere.h5").status, 3);
  EXPECT_EQ(train("run", "--train.init " + (folder_ / "tokens.h5")).status, 7);
  EXPECT_EQ(shell("tapestry train --train.out " + (folder_ / "x")).status, 2);
}

TEST_F(TrainCommand, DryRunPrintsSizesAndWritesNothing) {
  const ShellResult result = train("run", "--dry-run");
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.output.find("memory"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(TrainCommand, StartsFromTheWeightsOfACheckpoint) {
  ASSERT_EQ(train("first", "--train.max_steps 40 --model.dropout 0").status, 0);
  ASSERT_EQ(train("second", "--train.max_steps 1 --train.init " + file("first", "last.h5")).status, 0);
  EXPECT_NEAR(Checkpoint(file("second", "last.h5")).state().history.front().valid_loss,
              Checkpoint(file("first", "last.h5")).state().history.back().valid_loss, 1e-6);
}

}  // namespace
}  // namespace tapestry::test
