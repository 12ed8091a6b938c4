#include "data/commands.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/token_file.h"
#include "tests/support/shell.h"
#include "tests/support/small_text.h"

namespace tapestry {
namespace {
using testing::HasSubstr;

TEST(PrepareCommand, WritesTheTokenFileAndReportsInJson) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", small_text(1000, 1));
  write_text(folder / "b.txt", small_text(1000, 2));
  const auto result = shell("cd " + folder.path() +
                            " && tapestry prepare --input a.txt b.txt --tokenizer bpe:300 --output a.h5"
                            " --valid-fraction 0.2 --json -");
  ASSERT_EQ(result.status, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  const TokenFile file(folder / "a.h5");
  EXPECT_EQ(json.at("sha256"), file.sha256());
  EXPECT_EQ(json.at("vocab_size"), file.vocab_size());
  EXPECT_EQ(json.at("train").at("tokens"), file.tokens(Split::train)->size());
  EXPECT_EQ(json.at("valid").at("documents"), 2);
  EXPECT_THAT(result.errors, HasSubstr("tokenize"));
  EXPECT_THAT(result.errors, HasSubstr("train vocabulary"));
}

TEST(PrepareCommand, ExitsAsDocumented) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "text");
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  const auto expect = [&](int status, const std::string& words, const std::string& message) {
    const auto result = shell("cd " + folder.path() + " && tapestry prepare " + words);
    EXPECT_EQ(result.status, status) << words;
    EXPECT_THAT(result.errors, HasSubstr(message));
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  };
  expect(2, "--input a.txt", "--output is missing");
  expect(2, "--input a.txt --output o.h5 --valid-fraction 1.5", "valid-fraction");
  expect(2, "--input a.txt --output a.txt", "both input and output");
  expect(3, "--input folder --output o.h5", "there is no text");
  expect(3, "--input dangling --output o.h5", "dangling");
  expect(3, "--input /dev/zero --output o.h5", "not a regular file");
  expect(4, "--input a.txt --output none/o.h5", "none/o.h5");
  expect(4, "--input a.txt --output folder", "it is a folder");
}

TEST(PrepareCommand, TellsWhatItSkipped) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", "some text to read");
  write_text(folder / "b.txt", "");
  const auto result = shell("tapestry prepare --input " + folder.path() + " --output " + (folder / "o.h5"));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("empty"));
  EXPECT_THAT(result.output, HasSubstr("b.txt"));
}

}  // namespace
}  // namespace tapestry
