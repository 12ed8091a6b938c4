#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/same_run.h"
#include "tests/support/shell.h"
#include "train/checkpoint.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

/// Training on a synthetic task, through the program.
class TaskRun : public testing::Test {
 protected:
  TaskRun() {
    write_text(folder_ / "tiny.ini",
               "[model]\nattention = standard,bsbr\nn_layer = 2\nn_head = 2\nn_embd = 16\n[bsbr]\nchunk = 8\n"
               "[data]\ntask = recall\nseq_len = 48\nheld_out = 10\n"
               "[recall]\npairs = 2\nkeys = 4\nvalues = 4\nfillers = 4\n"
               "[train]\nmax_steps = 1\nbatch_size = 3\ngrad_accum = 2\nlog_every = 2\neval_every = 1\n"
               "checkpoint_every = 4\n[optim]\nlearning_rate = 1e-2\nschedule = constant\nwarmup_steps = 0\n"
               "[run]\nthreads = 1\n");
  }
  ShellResult train(const std::string& out, const std::string& options = "") {
    return shell("tapestry train --config " + (folder_ / "tiny.ini") + " --train.out " + (folder_ / out) +
                 " " + options);
  }
  TemporaryFolder folder_;
};

TEST_F(TaskRun, StoppedAndResumedIsTheUndisturbedRunBitForBit) {
  ASSERT_EQ(train("whole", "--train.max_steps 9").status, 0);
  ASSERT_EQ(train("parts", "--train.max_steps 5").status, 0);
  const ShellResult resumed = train("parts", "--train.max_steps 9 --resume");
  ASSERT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_THAT(resumed.output, HasSubstr("sequence 30"));
  expect_same_run(folder_ / "whole", folder_ / "parts");
  const ShellResult other = train("parts", "--train.max_steps 9 --resume --recall.gap 9");
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.errors, HasSubstr("recall.gap"));
}

TEST_F(TaskRun, TheCheckpointKnowsItsTaskAndEvalAsksIt) {
  ASSERT_EQ(train("run").status, 0);
  const std::string last = folder_ / "run/last.h5", json = folder_ / "eval.json";
  EXPECT_EQ(Checkpoint(last).config().find("recall.pairs")->text, "2");
  const ShellResult result =
      shell("tapestry eval --checkpoint " + last + " --sequences 7 --by-distance 4 --json " + json);
  ASSERT_EQ(result.status, 0) << result.errors;
  const auto report = nlohmann::json::parse(read_text(json));
  EXPECT_EQ(report["answers"], 14);
  EXPECT_NEAR(report["mean_nll"], std::log(12.0), 1);
  int64_t answers = 0;
  for (const auto& row : report["by_distance"]) answers += row["answers"].get<int64_t>();
  EXPECT_EQ(answers, 14);
  // Longer and denser than in training.
  const ShellResult longer = shell("tapestry eval --checkpoint " + last +
                                   " --sequences 3 --seq-len 100 --recall.pairs 4 --json " + json);
  ASSERT_EQ(longer.status, 0) << longer.errors;
  EXPECT_EQ(nlohmann::json::parse(read_text(json))["answers"], 12);
}

TEST_F(TaskRun, TwoLayersLearnInduction) {
  const ShellResult result =
      train("run",
            "--data.task induction --induction.symbols 3 --data.seq_len 10 --model.attention standard "
            "--model.n_embd 32 --train.max_steps 200 --train.batch_size 64 --train.grad_accum 1 "
            "--train.log_every 50 --train.eval_every 200 --data.held_out 200 --train.checkpoint_every 0 "
            "--optim.learning_rate 3e-3 --optim.schedule cosine --optim.warmup_steps -1");
  ASSERT_EQ(result.status, 0) << result.errors;
  EXPECT_LT(Checkpoint(folder_ / "run/last.h5").state().best_loss, 0.2) << result.output;
}

TEST_F(TaskRun, ValidationIsTheMeanOverTheAnswers) {
  ASSERT_EQ(train("run").status, 0);
  const std::string json = folder_ / "eval.json";
  ASSERT_EQ(
      shell("tapestry eval --checkpoint " + (folder_ / "run/last.h5") + " --sequences 10 --json " + json)
          .status,
      0);
  EXPECT_NEAR(nlohmann::json::parse(read_text(json))["mean_nll"],
              Checkpoint(folder_ / "run/last.h5").state().history.back().valid_loss, 1e-6);
}

TEST_F(TaskRun, MistakesAreOneClearError) {
  EXPECT_THAT(train("a", "--data.task recal").errors, HasSubstr("known are recall"));
  EXPECT_EQ(train("a", "--data.tokens x.h5").status, 2);
  EXPECT_EQ(train("a", "--data.task passkey").status, 2);  // sequences too short for it
  ASSERT_EQ(train("run").status, 0);
  const std::string eval = "tapestry eval --checkpoint " + (folder_ / "run/last.h5");
  EXPECT_THAT(shell(eval + " --task passkey --seq-len 200").errors, HasSubstr("tokenizer"));
  EXPECT_EQ(shell(eval + " --recall.values 5").status, 3);
}

}  // namespace
}  // namespace tapestry::test
