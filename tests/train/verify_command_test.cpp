#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/forged_file.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_run.h"

namespace tapestry::test {
namespace {

using testing::HasSubstr;

class VerifyCommand : public testing::Test, protected TinyRun {
 protected:
  void SetUp() override { ASSERT_EQ(train("run").status, 0); }
  ShellResult verify(const std::string& words) { return shell("tapestry verify " + words); }
};

TEST_F(VerifyCommand, GoodFilesOfEveryKindPass) {
  const std::string gpt2 = source_folder() + "/tests/fixtures/gpt2/tiny";
  const ShellResult result = verify((folder_ / "run/*.h5") + " " + (folder_ / "tokens.h5") + " " + gpt2 +
                                    " " + gpt2 + "/model.safetensors");
  EXPECT_EQ(result.status, 0) << result.output << result.errors;
  EXPECT_EQ(result.errors, "");
  EXPECT_THAT(result.output, HasSubstr("step-12.h5"));
}

TEST_F(VerifyCommand, EachFaultIsALineAndTheFirstBadFileGivesTheStatus) {
  const std::string last = file("run", "last.h5"), best = file("run", "best.h5"), text = folder_ / "text";
  write_text(text, "no file of ours");
  forge(last, [](hid_t file) {
    remove_link(file, "model/embedding.weight");
    remove_link(file, "model/final_norm.bias");
  });
  std::string damaged = read_text(best);
  damaged[damaged.size() / 2] ^= 4;
  write_text(best, damaged);
  const ShellResult result = verify((folder_ / "tokens.h5") + " " + last + " " + best + " " + text);
  EXPECT_EQ(result.status, 7) << result.output;
  EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 4) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("/model/embedding.weight is missing"));
  EXPECT_THAT(result.errors, HasSubstr("/model/final_norm.bias is missing"));
  EXPECT_THAT(result.errors, HasSubstr("best.h5' is damaged"));
  EXPECT_EQ(verify(text + " " + last).status, 3);
}

TEST_F(VerifyCommand, TokenFilesAreReadWhole) {
  const std::string tokens = folder_ / "tokens.h5";
  forge(
      tokens,
      [](hid_t file) {
        replace_dataset(file, "valid/documents", H5T_STD_I64LE, {0});
        set_attribute(file, "tokenizer", "vocab_size", 40);
      },
      "token file");
  const ShellResult result = verify(tokens);
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.errors, HasSubstr("the tokenizer has 256 tokens, but vocab_size is 40"));
  EXPECT_THAT(result.errors, HasSubstr("train tokens"));
  EXPECT_THAT(result.errors, HasSubstr("valid/documents"));
}

TEST_F(VerifyCommand, JsonHoldsTheFaults) {
  const ShellResult result = verify((folder_ / "tokens.h5") + " /nowhere.h5 --json -");
  EXPECT_EQ(result.status, 3);
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["files"][0]["faults"], 0);
  EXPECT_EQ(json["files"][1]["faults"], 1);
  EXPECT_EQ(json["faults"][0]["file"], "/nowhere.h5");
}

TEST_F(VerifyCommand, NeedsFiles) { EXPECT_EQ(verify("").status, 2); }

}  // namespace
}  // namespace tapestry::test
