#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint.h"

namespace tapestry::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class InspectCommand : public testing::Test, protected TinyRun {
 protected:
  Json inspect(const std::string& path) {
    const ShellResult result = shell("tapestry inspect " + path + " --json -");
    EXPECT_EQ(result.status, 0) << result.errors;
    return Json::parse(result.output);
  }
};

TEST_F(InspectCommand, Checkpoint) {
  ASSERT_EQ(train("run").status, 0);
  const Json json = inspect(file("run", "last.h5"));
  const LoadedModel loaded = load_model(file("run", "last.h5"));
  EXPECT_EQ(json["kind"], "checkpoint");
  EXPECT_EQ(json["step"], 12);
  EXPECT_EQ(json["tokens"], 12 * 2 * 3 * 24);
  EXPECT_EQ(json["valid_loss"], loaded.state.history.back().valid_loss);
  EXPECT_EQ(json["parameters_total"], loaded.model->parameter_count());
  EXPECT_EQ(json["parameters"].size(), loaded.model->parameters().size());
  EXPECT_EQ(json["config"]["bsbr.chunk"], "8");
  EXPECT_EQ(json["tokenizer"], "bytes");
  EXPECT_EQ(json["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(json["resumable"], true);
}

TEST_F(InspectCommand, ValuesOfNamedParameters) {
  ASSERT_EQ(train("run", "--train.max_steps 1 --optim.learning_rate 1e-9 --bsbr.score_bias head").status, 0);
  const Json json = inspect(file("run", "last.h5") + " --values score_gain,gate");
  EXPECT_EQ(json["values"], Json::parse(R"({"blocks.0.attention.score_gain": "1 1"})"));
}

TEST_F(InspectCommand, TokenFile) {
  const Json json = inspect(folder_ / "tokens.h5");
  EXPECT_EQ(json["kind"], "token file");
  EXPECT_EQ(json["splits"][0]["split"], "train");
  EXPECT_EQ(json["splits"][0]["tokens"], TokenFile(folder_ / "tokens.h5").tokens(Split::train)->size());
  EXPECT_EQ(json["splits"][1]["documents"], 1);
}

TEST_F(InspectCommand, Safetensors) {
  const std::string folder = source_folder() + "/tests/fixtures/gpt2/tiny";
  for (const std::string& path : {folder, folder + "/model.safetensors"}) {
    const Json json = inspect(path);
    EXPECT_EQ(json["kind"], "safetensors");
    EXPECT_EQ(json["files"], 1);
    EXPECT_GT(json["parameters_total"], 1000);
    EXPECT_THAT(json["parameters"].dump(), HasSubstr("wte.weight"));
  }
}

TEST_F(InspectCommand, WhatIsNoFileOfOursIsRefused) {
  EXPECT_EQ(shell("tapestry inspect").status, 2);
  EXPECT_EQ(shell("tapestry inspect a b").status, 2);
  EXPECT_EQ(shell("tapestry inspect /nowhere.h5").status, 3);
  EXPECT_EQ(shell("tapestry inspect " + (folder_ / "tiny.ini")).status, 3);
  std::string bytes = read_text(folder_ / "tokens.h5");
  write_text(folder_ / "tokens.h5", bytes.substr(0, 600));
  const ShellResult truncated = shell("tapestry inspect " + (folder_ / "tokens.h5"));
  EXPECT_EQ(truncated.status, 3);
  EXPECT_THAT(truncated.errors, HasSubstr("truncated"));
}

}  // namespace
}  // namespace tapestry::test
