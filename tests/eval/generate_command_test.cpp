#include <gmock/gmock.h>

#include "tests/support/tiny_run.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

class GenerateCommand : public testing::Test, protected TinyRun {
 protected:
  void SetUp() override { ASSERT_EQ(train("run", "--train.max_steps 4").status, 0); }
  ShellResult generate(const std::string& options, const std::string& checkpoint = "run") {
    return shell("tapestry generate --run.threads 1 --checkpoint " + file(checkpoint, "last.h5") + " " +
                 options);
  }
  std::string text(const std::string& options) {
    const ShellResult result = generate(options);
    EXPECT_EQ(result.status, 0) << result.errors;
    return result.output;
  }
};

// Longer than the 24 tokens of the training and than several chunks of 8.
TEST_F(GenerateCommand, ATextGoesOnFromASavedStateAsWithoutTheBreak) {
  const std::string whole = text("--prompt 'the cat' --length 60"), state = folder_ / "state.h5";
  const std::string first = text("--prompt 'the cat' --length 25 --save-state " + state);
  const std::string second = text("--length 35 --load-state " + state);
  EXPECT_EQ(whole, first.substr(0, first.size() - 1) + second);
}

TEST_F(GenerateCommand, ATextReadOnceIsAskedManyTimes) {
  const std::string state = folder_ / "state.h5";
  EXPECT_EQ(text("--prompt 'the cat sat on' --length 0 --save-state " + state), "the cat sat on\n");
  for (const std::string question : {" the", " mat 12"}) {
    const std::string answer = text("--length 20 --load-state " + state + " --prompt '" + question + "'");
    EXPECT_EQ("the cat sat on" + answer, text("--length 20 --prompt 'the cat sat on" + question + "'"));
  }
}

TEST_F(GenerateCommand, AStateBelongsToItsCheckpoint) {
  const std::string state = folder_ / "state.h5";
  text("--prompt the --length 3 --save-state " + state);
  ASSERT_EQ(train("other", "--train.max_steps 2").status, 0);
  const ShellResult result = generate("--load-state " + state, "other");
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.errors, HasSubstr("another checkpoint"));
  EXPECT_EQ(shell("tapestry verify " + state).status, 0);
  EXPECT_THAT(shell("tapestry inspect " + state).output, HasSubstr("layers/0/running_block_key"));
}

TEST_F(GenerateCommand, TheFirstOfSeveralSamplesIsTheTextAlone) {
  const std::string samples = text("--prompt 'the cat' --length 30 --samples 3");
  const std::string alone = text("--prompt 'the cat' --length 30");
  EXPECT_TRUE(samples.starts_with("--- sample 1\n" + alone + "--- sample 2\nthe cat")) << samples;
  EXPECT_THAT(samples, HasSubstr("--- sample 3\nthe cat"));
  EXPECT_EQ(generate("--samples 2 --save-state x").status, 2);
}

// As a vocabulary that was padded to a round number: the tokenizer has no text for the last tokens.
TEST_F(GenerateCommand, DrawsOnlyTokensThatTheTokenizerKnows) {
  ASSERT_EQ(train("padded", "--train.max_steps 1 --model.vocab_size 2560").status, 0);
  const ShellResult result = generate("--prompt the --length 100 --temperature 2", "padded");
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_GE(result.output.size(), 103u);
}

TEST_F(GenerateCommand, TheTextEndsWithTheLearnedPositions) {
  ASSERT_EQ(train("learned", "--train.max_steps 1 --model.positions learned").status, 0);
  const ShellResult result = generate("--prompt the --length 100", "learned");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.errors, HasSubstr("ended after 22 of 100 tokens"));
  EXPECT_EQ(result.output.size(), 3 + 22 + 2u) << result.output;
  EXPECT_EQ(generate("--prompt '" + std::string(30, 'x') + "'", "learned").status, 2);
}

}  // namespace
}  // namespace tapestry::test
