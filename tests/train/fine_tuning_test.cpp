#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/gpt2_folder.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint.h"

namespace tapestry::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A GPT-2 of bytes in the folder "gpt2", and a checkpoint "bsbr.h5" made of it that has parameters of its
/// own.
class FineTuning : public testing::Test, protected TinyRun {
 protected:
  FineTuning() {
    ModelOptions model = Gpt2Files::options();
    model.vocab_size = 256;
    Gpt2Files files(model);
    files.config["custom"] = {{"a", 1}};
    files.write(folder_ / "gpt2");
    write_text(folder_ / "tune.ini", "[data]\ntokens = " + (folder_ / "tokens.h5") +
                                         "\n[train]\nmax_steps = 6\nbatch_size = 2\nlog_every = 1\n"
                                         "eval_every = 3\neval_tokens = 300\ncheckpoint_every = 2\n"
                                         "[optim]\nlearning_rate = 1e-2\n[run]\nthreads = 1\n");
  }
  ShellResult run(const std::string& line) { return shell("cd " + folder_.path() + " && " + line); }
  void must(const std::string& line) {
    const ShellResult result = run(line);
    ASSERT_EQ(result.status, 0) << line << "\n" << result.errors;
  }
  void make_bsbr() {
    must("tapestry convert --from gpt2 --output bsbr.h5 --attention bsbr --bsbr.chunk 6 --bsbr.read state");
  }
  ShellResult tune(const std::string& out, const std::string& options) {
    return run("tapestry train --config tune.ini --train.out " + out + " " + options);
  }
  void must_tune(const std::string& out, const std::string& options) {
    const ShellResult result = tune(out, options);
    ASSERT_EQ(result.status, 0) << result.errors;
  }
  std::map<std::string, std::vector<float>> part(const std::string& file, const std::string& group) {
    return floats(Hdf5File::open(folder_ / file), group);
  }
};

TEST_F(FineTuning, TakesTheModelFromTheCheckpointAndStillExports) {
  must_tune("tuned", "--train.init gpt2");
  const Checkpoint tuned(file("tuned", "last.h5"));
  EXPECT_EQ(tuned.config().get(model_options()).n_inner, 40);
  EXPECT_EQ(tuned.config().find("data.seq_len")->text, "24");
  must_tune("again", "--train.init tuned/last.h5 --train.max_steps 1 --optim.warmup_steps 0");
  must_tune("again", "--resume --train.max_steps 2");
  must("tapestry convert --from again/last.h5 --output exported --to gpt2");
  const auto config = nlohmann::json::parse(read_text(folder_ / "exported/config.json"));
  EXPECT_EQ(config["custom"]["a"], 1);
  must("tapestry convert --from exported --output back.h5");
  EXPECT_EQ(part("back.h5", "model"), part("again/last.h5", "model"));
}

TEST_F(FineTuning, LengthAndDropoutMayDifferAndAreAnnounced) {
  const ShellResult result =
      tune("tuned", "--train.init gpt2 --data.seq_len 12 --model.dropout 0 --model.n_layer 3");
  ASSERT_EQ(result.status, 0) << result.errors;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("data.seq_len = 12 in place of 24"),
                    HasSubstr("model.dropout = 0 in place of 0.1"), Not(HasSubstr("n_layer"))));
}

TEST_F(FineTuning, AnotherModelThanTheCheckpointsIsRefused) {
  make_bsbr();
  const ShellResult refused = tune(
      "tuned", "--train.init bsbr.h5 --model.n_layer 2 --bsbr.chunk 8 --layer.1.chunk 6 --layer.2.topk 3");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("model.n_layer = 2"), HasSubstr("has 3"), HasSubstr("bsbr.chunk = 8"),
                    HasSubstr("layer.2.topk"), HasSubstr("convert"), Not(HasSubstr("layer.1.chunk"))));
  EXPECT_THAT(tune("tuned", "--train.init gpt2 --bsbr.chunk 8").errors, HasSubstr("bsbr.chunk"));
  EXPECT_THAT(tune("tuned", "--train.init gpt2 --data.seq_len 48").errors, HasSubstr("convert --n-ctx"));
}

TEST_F(FineTuning, FrozenParametersKeepTheirBits) {
  make_bsbr();
  must_tune("tuned", "--train.init bsbr.h5 --optim.freeze '*.mlp.*,embedding.*,*.attention.[qkv].*'");
  const auto before = part("bsbr.h5", "model"), after = part("tuned/last.h5", "model");
  const auto moments = part("tuned/last.h5", "optimizer");
  size_t frozen = 0;
  for (const auto& [name, values] : after) {
    const bool keeps =
        name.find(".mlp.") != std::string::npos || name.find("embedding") != std::string::npos ||
        name.find(".attention.q") != std::string::npos || name.find(".attention.k") != std::string::npos ||
        name.find(".attention.v") != std::string::npos;
    EXPECT_EQ(values == before.at(name), keeps) << name;
    EXPECT_EQ(moments.contains("optimizer/m/" + name.substr(6)), !keeps) << name;
    frozen += keeps;
  }
  EXPECT_EQ(frozen, 1u + 3 * (4 + 6));
  must("tapestry verify tuned/last.h5");
}

TEST_F(FineTuning, AFactorOfAllIsAnotherLearningRate) {
  must_tune("factor", "--train.init gpt2 --optim.rates '*:0.5'");
  must_tune("rate", "--train.init gpt2 --optim.learning_rate 0.005");
  EXPECT_EQ(part("factor/last.h5", "model"), part("rate/last.h5", "model"));
  EXPECT_EQ(part("factor/last.h5", "optimizer"), part("rate/last.h5", "optimizer"));
}

TEST_F(FineTuning, ResumesBitForBitWithEverythingOn) {
  make_bsbr();
  const std::string all =
      "--train.init bsbr.h5 --train.teacher gpt2 --train.teacher_weight 0.7 --train.temperature 2 "
      "--train.match_attention 0.5 --optim.freeze 'embedding.*,*.mlp.up.*' --optim.rates '*.attention.r.*:3' "
      "--optim.schedule constant ";
  must_tune("whole", all);
  must_tune("parts", all + "--train.max_steps 3");
  must_tune("parts", all + "--resume --train.max_steps 6");
  expect_same_run(folder_ / "whole", folder_ / "parts");
  must_tune("alone", "--train.init bsbr.h5 --optim.schedule constant");
  EXPECT_NE(part("alone/last.h5", "model"), part("whole/last.h5", "model"));
}

TEST_F(FineTuning, AnotherTeacherIsRefusedOnResume) {
  const ShellResult first = tune("run", "--train.init gpt2 --train.teacher gpt2 --train.max_steps 2");
  EXPECT_EQ(first.status, 0) << first.errors;
  EXPECT_THAT(first.output, testing::AllOf(HasSubstr("from    gpt2\n"), HasSubstr("teacher gpt2, ")));
  must(
      "tapestry convert --from run/last.h5 --output gpt2 --to gpt2 ; rm -r gpt2 ; "
      "tapestry convert --from run/last.h5 --output gpt2 --to gpt2");
  for (const char* teacher : {"", "--train.teacher ''"}) {
    const ShellResult refused = tune("run", join("--resume --train.max_steps 4 ", teacher));
    EXPECT_EQ(refused.status, 3) << refused.errors;
    EXPECT_THAT(refused.errors, HasSubstr("train.teacher"));
  }
}

TEST_F(FineTuning, TheTeacherMayHaveMoved) {
  must_tune("run", "--train.init gpt2 --train.teacher gpt2 --train.max_steps 2");
  must("mv gpt2 elsewhere");
  must_tune("run", "--resume --train.max_steps 4 --train.teacher elsewhere");
}

TEST_F(FineTuning, ATeacherThatDoesNotFitIsRefused) {
  Gpt2Files().write(folder_ / "other");  // 61 tokens
  EXPECT_THAT(tune("run", "--train.init gpt2 --train.teacher other").errors, HasSubstr("vocabulary of 61"));
  must("tapestry convert --from gpt2 --output long.h5 --n-ctx 48");
  EXPECT_THAT(tune("run", "--train.init long.h5 --train.teacher gpt2").errors, HasSubstr("24 positions"));
  EXPECT_THAT(
      tune("run", "--train.init gpt2 --train.teacher gpt2 --train.match_attention 1 --train.recompute block")
          .errors,
      HasSubstr("train.recompute = none"));
}

TEST_F(FineTuning, AStudentLearnsFromItsTeacherAlone) {
  make_bsbr();
  const std::string options =
      "--train.init bsbr.h5 --model.dropout 0 --train.max_steps 40 --train.teacher gpt2 "
      "--train.teacher_weight 1 "
      "--optim.learning_rate 3e-3";
  must_tune("run", options);
  const auto kl = [&](const std::string& model) {
    const ShellResult result =
        run("tapestry compare --a gpt2 --b " + model + " --tokens tokens.h5 --windows 8 --json -");
    EXPECT_EQ(result.status, 0) << result.errors;
    return nlohmann::json::parse(result.output)["logits"]["kl"].get<double>();
  };
  EXPECT_LT(kl("run/last.h5"), 0.7 * kl("bsbr.h5"));
}

}  // namespace
}  // namespace tapestry::test
