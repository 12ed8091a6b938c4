#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/tiny_run.h"

namespace tapestry::test {
namespace {

class EvalCommand : public testing::Test, protected TinyRun {};

TEST_F(EvalCommand, LossByPositionAddsUpToTheWhole) {
  ASSERT_EQ(train("run", "--train.max_steps 4").status, 0);
  const std::string json = folder_ / "eval.json";
  const ShellResult result =
      shell("tapestry eval --checkpoint " + file("run", "last.h5") + " --tokens " + (folder_ / "tokens.h5") +
            " --max-tokens 200 --by-position 5 --json " + json);
  ASSERT_EQ(result.status, 0) << result.errors;
  const auto report = nlohmann::json::parse(read_text(json));
  ASSERT_EQ(report["by_position"].size(), 5u);
  // 24 positions in five parts, eight whole windows and one of eight tokens.
  const int64_t to[] = {5, 10, 15, 20, 24}, tokens[] = {8 * 5 + 5, 8 * 5 + 3, 8 * 5, 8 * 5, 8 * 4};
  int64_t from = 1;
  double nll = 0;
  for (int i = 0; i < 5; ++i) {
    const auto& row = report["by_position"][i];
    EXPECT_EQ(row["from"], from);
    EXPECT_EQ(row["to"], to[i]);
    EXPECT_EQ(row["tokens"], tokens[i]);
    nll += row["mean_nll"].get<double>() * row["tokens"].get<double>();
    from = to[i] + 1;
  }
  EXPECT_NEAR(nll, report["total_nll"], 1e-6);
  // Two layers of two heads, chunks of 8: but for one head of the BSBR layer, which does not retrieve the
  // first chunk for the last 8 of 24 tokens, all are read.
  EXPECT_NEAR(report["keys_read_share"], 1 - 8 * 8 / 300.0 / 4, 1e-12);
}

TEST_F(EvalCommand, AByteCostsWhatATokenOfOneByteDoes) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  for (const char* protocol : {"windows", "strided --stride 5", "strided --stride 24"}) {
    const ShellResult result =
        shell("tapestry eval --checkpoint " + file("run", "last.h5") + " --tokens " +
              (folder_ / "tokens.h5") + " --max-tokens 100 --json - --protocol " + protocol);
    ASSERT_EQ(result.status, 0) << result.errors;
    const auto report = nlohmann::json::parse(result.output);
    const double perplexity = report["perplexity"];
    EXPECT_NEAR(report["perplexity_per_byte"], perplexity, 1e-9 * perplexity) << protocol;
    EXPECT_NEAR(report["bits_per_byte"], std::log2(perplexity), 1e-9) << protocol;
  }
}

// A folder is a model as a checkpoint is.
TEST_F(EvalCommand, AFolderGivesWhatItsCheckpointDoes) {
  ASSERT_EQ(train("run", "--train.max_steps 1").status, 0);
  const std::string last = file("run", "last.h5"), exported = folder_ / "exported";
  ASSERT_EQ(shell("tapestry convert --from " + last + " --output " + exported + " --to tapestry").status, 0);
  const auto both = [&](const std::string& command) {
    std::vector<std::string> outputs;
    for (const std::string& model : {last, exported}) {
      const ShellResult result = shell(command + " --checkpoint " + model);
      EXPECT_EQ(result.status, 0) << result.errors;
      outputs.push_back(result.output);
    }
    return outputs;
  };
  auto reports = both("tapestry eval --json - --max-tokens 100 --tokens " + (folder_ / "tokens.h5"));
  for (std::string& report : reports) report.erase(0, report.find("\"tokens_file\""));
  EXPECT_EQ(reports[0], reports[1]);
  const auto texts = both("tapestry generate --prompt the --length 20");
  EXPECT_EQ(texts[0], texts[1]);
  const ShellResult kept =
      shell("tapestry generate --checkpoint " + exported + " --save-state " + (folder_ / "state.h5"));
  EXPECT_EQ(kept.status, 2);
  EXPECT_THAT(kept.errors, testing::HasSubstr("a state belongs to a checkpoint"));
}

}  // namespace
}  // namespace tapestry::test
