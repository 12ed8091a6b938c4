#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "tests/support/forged_file.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// The program as a user meets it when something is wrong.
class Main : public testing::Test, protected TinyRun {
 protected:
  void SetUp() override {
    write_text(folder_ / "text", std::string(3000, 'a') + " word");
    write_text(folder_ / "empty", "");
    write_text(folder_ / "latin1", std::string(300, 'a') + "\xFF");
    write_text(folder_ / "short", "x");
    foreign_ = source_folder() + "/tests/fixtures/attention_linear.h5";
  }

  /// The line ends with this status and one line on standard error that has all the parts.
  void expect_refused(const std::string& line, int status, const std::vector<std::string>& parts) {
    SCOPED_TRACE(line);
    const ShellResult result = shell("cd " + folder_.path() + "\n" + line);
    EXPECT_EQ(result.status, status) << result.output << result.errors;
    for (const std::string& part : parts) EXPECT_THAT(result.errors, HasSubstr(part));
    const size_t at = result.errors.find("tapestry ");
    ASSERT_NE(at, std::string::npos) << result.errors;
    EXPECT_EQ(result.errors.find('\n', at), result.errors.size() - 1) << result.errors;
    EXPECT_THAT(result.errors, AllOf(Not(HasSubstr("internal error")), Not(HasSubstr("terminate"))));
  }
  std::string prepare(const std::string& options) { return "tapestry prepare --output out.h5 " + options; }

  std::string foreign_;
};

TEST_F(Main, PrepareRefuses) {
  expect_refused(prepare("--input text --tokeniser bytes"), 2, {"--tokeniser", "tokenizer"});
  expect_refused(prepare("--input text --valid-fraction 1.5"), 2, {"valid-fraction", "1.5"});
  expect_refused(prepare("--input text --tokenizer bpe:3"), 2, {"bpe:"});
  expect_refused(prepare("--input empty"), 3, {"empty"});
  expect_refused(prepare("--input nowhere"), 3, {"nowhere"});
  expect_refused(prepare("--input /dev/zero"), 3, {"/dev/zero"});
  expect_refused(prepare("--input latin1 --tokenizer bpe:300 --valid-fraction 0"), 3,
                 {"latin1", "offset 300"});
  expect_refused(prepare("--input text --tokenizer nowhere"), 3, {"nowhere"});
  expect_refused("tapestry prepare --input text --output nowhere/out.h5", 4, {"nowhere/out.h5"});
  expect_refused("tapestry prepare --input text --output /proc/out.h5", 4, {"/proc/out.h5"});
  expect_refused("ulimit -f 4\n" + prepare("--input text"), 4, {"out.h5", "File too large"});
  EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
}

TEST_F(Main, TrainRefuses) {
  const std::string train = train_line("run") + " ";
  write_text(folder_ / "wrong.ini", "[model]\nn_layer = 1\nn_heads = 2\n");
  expect_refused("tapestry train --config wrong.ini", 2, {"wrong.ini:3", "n_heads", "n_head?"});
  expect_refused("tapestry trian", 2, {"trian", "train?"});
  expect_refused(train + "--model.n_layer 0", 2, {"model.n_layer", "between 1 and"});
  expect_refused(train + "--model.n_head 3", 2, {"model.n_head = 3", "model.n_embd = 16"});
  expect_refused(train + "--model.dropout 2", 2, {"model.dropout"});
  expect_refused(train + "--model.attention nonsense", 2, {"nonsense"});
  expect_refused(train + "--model.vocab_size 100", 3, {"tokens.h5", "256", "100"});
  expect_refused(train + "--data.seq_len 100000", 3, {"too few", "100001"});
  expect_refused(train + "--data.tokens nowhere.h5", 3, {"nowhere.h5"});
  expect_refused(train + "--data.tokens " + foreign_, 3, {foreign_});
  expect_refused(train + "--train.init " + foreign_, 7, {foreign_});
  expect_refused(train + "--layer.2.chunk 4", 2, {"layer.2.chunk", "layers are 0 to 1"});
  expect_refused(train + "--layer.1.chunk 4", 2, {"layer.1.chunk", "layer 1 is standard", "has no chunk"});
  expect_refused(train + "--train.match_attention 1", 2, {"train.match_attention", "train.teacher"});
  expect_refused(train_line("text"), 4, {"text"});
  expect_refused("tapestry train --config tiny.ini --train.out /proc/run", 4, {"/proc/run"});
  expect_refused("ulimit -f 30\n" + train, 4, {"last.h5", "File too large"});
  expect_refused(train + "--resume", 7, {"holds no last.h5"});
  const std::string short_text = "tapestry prepare --input short --output short.h5 --valid-fraction 0 && ";
  expect_refused(short_text + train + "--data.tokens short.h5", 3, {"short.h5", "1 tokens are too few"});
  const std::string tokens = read_text(folder_ / "tokens.h5");
  write_text(folder_ / "tokens.h5", tokens.substr(0, tokens.size() - 1));
  expect_refused(train, 3, {"tokens.h5", "truncated"});
}

TEST_F(Main, EvalAndGenerateRefuse) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const std::string eval = "tapestry eval --checkpoint run/last.h5 --tokens ";
  expect_refused("tapestry eval --tokens tokens.h5", 2, {"--checkpoint"});
  expect_refused(eval + "nowhere.h5", 3, {"nowhere.h5"});
  expect_refused(eval + foreign_, 3, {foreign_});
  expect_refused(eval + "run/last.h5", 3, {"is a checkpoint, expected a token file"});
  expect_refused("tapestry prepare --input text --output bpe.h5 --tokenizer bpe:260 && " + eval + "bpe.h5", 3,
                 {"bpe.h5", "tokenizer"});
  expect_refused("tapestry prepare --input text --output all.h5 --valid-fraction 0 && " + eval + "all.h5", 3,
                 {"all.h5", "nothing to score"});
  expect_refused(eval + "tokens.h5 --json nowhere/report", 4, {"nowhere/report"});
  expect_refused(eval + "tokens.h5 --json /dev/full", 4, {"/dev/full"});
  expect_refused(eval + "tokens.h5 > /dev/full", 4, {"standard output"});
  expect_refused("tapestry eval --tokens tokens.h5 --checkpoint nowhere.h5", 7, {"nowhere.h5"});
  expect_refused("tapestry eval --tokens tokens.h5 --checkpoint " + foreign_, 7, {foreign_});
  const std::string generate = "tapestry generate --checkpoint ";
  expect_refused(generate + "nowhere.h5", 7, {"nowhere.h5"});
  expect_refused(generate + "tokens.h5", 7, {"is a token file, expected a checkpoint"});
  expect_refused(generate + "run/last.h5 --prompt-file nowhere", 3, {"nowhere"});
  expect_refused(generate + "run/last.h5 --prompt ''", 2, {"prompt"});
  expect_refused(generate + "run/last.h5 --top-p 2", 2, {"top-p"});
  const std::string checkpoint = read_text(folder_ / "run/last.h5");
  write_text(folder_ / "run/last.h5", checkpoint.substr(0, 20'000));
  expect_refused(generate + "run/last.h5", 7, {"truncated"});
  expect_refused(eval + "tokens.h5", 7, {"truncated"});
}

TEST_F(Main, BenchRefuses) {
  const std::string bench = "tapestry bench --config tiny.ini --model.vocab_size 256 --repeats 1 ";
  expect_refused(bench + "--mode backward", 2, {"--mode", "forward, train"});
  expect_refused(bench + "--seq-len 16,long", 2, {"--seq-len long", "integer"});
  expect_refused(bench + "--seq-len 64 --batch-tokens 32", 2, {"--batch-tokens 32"});
  expect_refused(bench + "--repeats 0", 2, {"--repeats"});
  expect_refused(bench + "--attention standart", 2, {"standart", "standard?"});
  expect_refused(bench + "--seq-len 8 --json nowhere/report", 4, {"nowhere/report"});
  expect_refused(bench + "--seq-len 8 > /dev/full", 4, {"standard output"});
  expect_refused(bench + "--seq-len 1000 --batch-size 1000000000", 6, {"memory"});
}

TEST_F(Main, EvalRefusesOptionsAndNumbersThatAreNotFinite) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const std::string eval = "tapestry eval --checkpoint run/last.h5 --tokens tokens.h5 ";
  expect_refused(eval + "--protocol stride", 2, {"windows, strided"});
  expect_refused(eval + "--split test", 2, {"train, valid"});
  expect_refused(eval + "--batch-size 0", 2, {"batch-size"});
  expect_refused(eval + "--seq-len -3", 2, {"seq-len"});
  forge(file("run", "last.h5"), [](hid_t checkpoint) {
    for (const char* name : {"model/final_norm.weight", "model/embedding.weight"})
      fill_dataset(checkpoint, name, std::numeric_limits<float>::infinity());
  });
  expect_refused(eval + "> /dev/null", 5, {"run/last.h5", "not finite"});
}

TEST_F(Main, ADiskThatFillsUpWhileTrainingKeepsTheOldCheckpoint) {
  ASSERT_EQ(train("run").status, 0);
  const std::string before = read_text(file("run", "last.h5"));
  const auto files = count_files(folder_ / "run");
  expect_refused("ulimit -f 30\n" + train_line("run", "--resume --train.max_steps 16 > /dev/null"), 4,
                 {"File too large", "a file that was there before is unchanged"});
  EXPECT_EQ(read_text(file("run", "last.h5")), before);
  EXPECT_EQ(count_files(folder_ / "run"), files);
  EXPECT_EQ(train("run", "--resume --train.max_steps 16").status, 0);
}

TEST_F(Main, ASignalStopsPrepareAndEval) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  write_byte_token_file(folder_ / "long.h5", std::string(3'000'000, 'x'), 0.9);
  std::string words;
  for (uint64_t i = 1; i < 300'000; ++i) words += std::to_string(i * 6364136223846793005u) + " ";
  write_text(folder_ / "words", words);
  const std::string stopped = "timeout --preserve-status -s TERM 0.5 " + program_path() + " ";
  for (const char* line : {"eval --checkpoint run/last.h5 --tokens long.h5",
                           "prepare --input words --output w.h5 --tokenizer bpe:60000"}) {
    expect_refused(stopped + line, 75, {"stopped by a signal"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "w.h5"));
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(".tmp-")));
}

TEST_F(Main, ASecondInterruptEndsTrainingAtOnce) {
  const std::string line = train_line("run", "--train.grad_accum 1000000");
  const ShellResult result =
      shell(program_path() + line.substr(line.find(' ')) + " > " + (folder_ / "output") +
            " & pid=$!; for i in $(seq 500); do grep -q ' 0/' " + (folder_ / "output") +
            " && break; sleep 0.02; done; kill -INT $pid; sleep 0.3; "
            "kill -INT $pid; wait $pid");
  EXPECT_EQ(result.status, 130) << result.errors;
  EXPECT_EQ(Checkpoint(file("run", "last.h5")).state().step, 0);
}

}  // namespace
}  // namespace tapestry::test
