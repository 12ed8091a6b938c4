#include <gmock/gmock.h>

#include "base/options.h"
#include "tests/base/example_options.h"

namespace tapestry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Words = std::vector<std::string>;

Config read(const Words& words) {
  Config config;
  read_command_line(words, example_sections(), config);
  return config;
}

std::string error_of(const Words& words) {
  return usage_error([&] { read(words); });
}

TEST(CommandLine, ReadsBothSpellings) {
  const Config config =
      read({"--block.chunk", "8", "--net.width=32", "--note=--x=y", "--layer.3.chunk", "4"});
  EXPECT_EQ(config.get(block_options()).chunk, 8);
  EXPECT_EQ(config.get(block_options(), 3).chunk, 4);
  EXPECT_EQ(config.get(net_options()).width, 32);
  EXPECT_EQ(config.get(note_options()).note, "--x=y");
}

// Boost's message for these would never be done.
TEST(CommandLine, AnEqualSignNeedsAValue) {
  for (const std::string key : {"--net.lr", "--x%canonical_option%", "--%prefix%%option%", "--"}) {
    EXPECT_THAT(error_of({"--net.lr", "1", key + "="}),
                HasSubstr("nothing follows the equal sign of " + key));
  }
}

TEST(CommandLine, WinsOverTheFile) {
  Config config;
  read_config_text("[block]\nchunk = 3\ndropout = 0.5\n", "run.ini", example_sections(), config);
  read_command_line({"--block.chunk", "8"}, example_sections(), config);
  EXPECT_EQ(config.get(block_options()).chunk, 8);
  EXPECT_EQ(config.get(block_options()).dropout, 0.5);
}

TEST(CommandLine, YesNoMayStandAlone) {
  EXPECT_TRUE(read({"--block.overlap"}).get(block_options()).overlap);
  EXPECT_TRUE(read({"--block.overlap", "--block.chunk", "3"}).get(block_options()).overlap);
  EXPECT_TRUE(read({"--block.overlap", "yes"}).get(block_options()).overlap);
  EXPECT_FALSE(read({"--block.overlap", "off"}).get(block_options()).overlap);
  EXPECT_FALSE(read({"--block.overlap=0"}).get(block_options()).overlap);
}

TEST(CommandLine, WordsGoToTheLastList) {
  EXPECT_THAT(read({"--input", "a", "b", "--output", "x", "c"}).get(file_options()).input,
              ElementsAre("a", "b", "c"));
  EXPECT_THAT(read({"--input", "a", "--input", "b,c"}).get(file_options()).input, ElementsAre("a", "b", "c"));
  EXPECT_THAT(read({"--input", "a", "--block.overlap", "b"}).get(file_options()).input,
              ElementsAre("a", "b"));
}

struct WordOptions {
  std::vector<std::string> file;
  std::string output;
};

TEST(CommandLine, PlainWordsGoToTheKeyThatTakesThem) {
  const auto table = OptionTable<WordOptions>("", "Words")
                         .add("file", &WordOptions::file, "files")
                         .add("output", &WordOptions::output, "file")
                         .plain_words("file");
  const auto files = [&](const Words& words) {
    Config config;
    read_command_line(words, {&table, &net_options()}, config);
    return config.get(table).file;
  };
  EXPECT_THAT(files({"a", "b,c", "--output", "x", "d"}), ElementsAre("a", "b,c", "d"));
  EXPECT_THAT(files({"a", "--file", "b", "c"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(files({"a", "--net.attention", "plain", "block"}), ElementsAre("a"));
}

TEST(CommandLine, OneWordForAKeyOfOneValue) {
  const auto table =
      OptionTable<WordOptions>("", "Words").add("output", &WordOptions::output, "file").plain_words("output");
  const auto output = [&](const Words& words) {
    Config config;
    read_command_line(words, {&table}, config);
    return config.get(table).output;
  };
  EXPECT_EQ(output({"a,b"}), "a,b");
  EXPECT_EQ(usage_error([&] { output({"a", "b"}); }), "unexpected 'b': output was given already");
}

TEST(CommandLine, MistakesAreNamed) {
  EXPECT_EQ(error_of({"--block.chunk"}), "--block.chunk needs a value (integer)");
  EXPECT_EQ(error_of({"--block.chunk", "--net.width", "3"}), "--block.chunk needs a value (integer)");
  EXPECT_EQ(error_of({"--block.chunk", "1", "--block.chunk", "2"}), "--block.chunk was given twice");
  EXPECT_EQ(error_of({"--block.chunk", "-1"}), "--block.chunk -1: must be an integer, at least 1");
  EXPECT_EQ(error_of({"--chunk", "1"}), "unknown option --chunk, did you mean block.chunk?");
  EXPECT_EQ(error_of({"--block.chun", "1"}), "unknown option --block.chun, did you mean block.chunk?");
  EXPECT_EQ(error_of({"--.note", "x"}), "unknown option --.note, did you mean note?");
  EXPECT_THAT(error_of({"a"}), StartsWith("unexpected 'a'"));
  EXPECT_THAT(error_of({"-c", "3"}), HasSubstr("unexpected '-c'"));
  EXPECT_THAT(error_of({"--note="}), HasSubstr("--note"));
  EXPECT_THAT(error_of({"--block.chunk", "0", "--foo", "1", "--net.width", "x"}),
              StartsWith("3 problems:\n"));
}

}  // namespace
}  // namespace tapestry
