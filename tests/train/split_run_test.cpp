#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/forged_file.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

constexpr int kSteps = 6;

/// A short run with dropout that crosses the end of an epoch, with a checkpoint at every step: what a process
/// that died after step k left behind.
class SplitRuns : protected TinyRun {
 protected:
  void run_whole(const std::string& architecture, int64_t grad_accum) {
    // Batches of two windows of 24 tokens: the first epoch ends between or within steps 3 and 4.
    const auto windows = static_cast<size_t>(7 * grad_accum);
    std::string text;
    while (text.size() < windows * 24 + 60) text += join("row ", text.size() * text.size() % 97, ", ");
    write_byte_token_file(folder_ / "short.h5", text, 50.0 / static_cast<double>(text.size()));
    options_ = join(architecture, " --data.tokens ", folder_ / "short.h5", " --train.grad_accum ", grad_accum,
                    " --train.max_steps ", kSteps,
                    " --train.log_every 2 --train.eval_every 2 --train.checkpoint_every 1 --train.keep 10 ");
    const ShellResult result = train("whole", options_);
    ASSERT_EQ(result.status, 0) << result.errors;
  }

  /// The folder of a run that stopped after step k.
  std::string stopped_after(int k) {
    const std::string out = "split" + std::to_string(k);
    fs::remove_all(folder_ / out);
    fs::create_directory(folder_ / out);
    for (const char* name : {"config.ini", "metrics.csv"})
      fs::copy_file(file("whole", name), file(out, name));
    fs::copy_file(file("whole", join("step-", k, ".h5")), file(out, "last.h5"));
    return out;
  }
  std::vector<std::string> differences_after_resuming(const std::string& out) {
    const ShellResult result = train(out, options_ + "--resume");
    EXPECT_EQ(result.status, 0) << result.errors;
    return differences(folder_ / "whole", folder_ / out);
  }

 private:
  std::string options_;
};

class SplitRun : public testing::TestWithParam<std::tuple<std::string, int64_t>>, protected SplitRuns {};

TEST_P(SplitRun, AtEveryStepGivesTheSameBits) {
  const auto& [architecture, grad_accum] = GetParam();
  ASSERT_NO_FATAL_FAILURE(run_whole("--model.attention " + architecture, grad_accum));
  for (int k = 1; k < kSteps; ++k)
    EXPECT_THAT(differences_after_resuming(stopped_after(k)), IsEmpty()) << "after step " << k;
}

INSTANTIATE_TEST_SUITE_P(
    OfEveryArchitecture, SplitRun,
    testing::Combine(testing::Values("standard", "sliding_window --sliding_window.window 8", "linear",
                                     "delta_net", "hopfield", "gau", "bsbr --bsbr.read tokens",
                                     "bsbr --bsbr.read state"),
                     testing::Values(1, 3)),
    [](const auto& info) {
      const std::string words = std::get<0>(info.param);
      const std::string read = words.substr(0, 4) == "bsbr" ? "_" + words.substr(words.rfind(' ') + 1) : "";
      return join(words.substr(0, words.find(' ')), read, "_", std::get<1>(info.param));
    });

class BrokenRestore : public testing::Test, protected SplitRuns {};

/// Each is something that a checkpoint could have left out.
TEST_F(BrokenRestore, IsSeenByTheTestAbove) {
  ASSERT_NO_FATAL_FAILURE(run_whole("--model.attention bsbr", 3));
  const auto zeros = [](const std::string& name) { return [=](hid_t file) { fill_dataset(file, name, 0); }; };
  const std::map<std::string, std::function<void(hid_t)>> faults = {
      {"weight", zeros("model/final_norm.bias")},
      {"first moment", zeros("optimizer/m/final_norm.bias")},
      {"second moment", zeros("optimizer/v/final_norm.bias")},
      {"updates", [](hid_t file) { set_attribute(file, "optimizer", "steps", 0); }},
      {"cursor, random numbers and learning rate",
       [](hid_t file) { set_attribute(file, "state", "step", 2); }},
      {"loss since the last line", [](hid_t file) { set_attribute(file, "state", "since_log_tokens", 1); }},
      {"best loss", [](hid_t file) { set_attribute(file, "state", "best_loss", 0); }},
  };
  for (const auto& [name, fault] : faults) {
    const std::string out = stopped_after(3);
    forge(file(out, "last.h5"), fault);
    EXPECT_THAT(differences_after_resuming(out), Not(IsEmpty())) << name;
  }
}

}  // namespace
}  // namespace tapestry::test
