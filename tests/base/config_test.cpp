#include <gmock/gmock.h>

#include "base/options.h"
#include "tests/base/example_options.h"

namespace tapestry {
namespace {

using testing::ElementsAre;

TEST(Config, GivenValuesReplaceDefaults) {
  Config config;
  config.set("block.chunk", "8", "test");
  config.set("input", "a,b", "test");
  EXPECT_EQ(config.get(block_options()).chunk, 8);
  EXPECT_EQ(config.get(block_options()).read, "both");
  EXPECT_THAT(config.get(file_options()).input, ElementsAre("a", "b"));
}

TEST(Config, LayerOverridesItsSection) {
  Config config;
  config.set("block.chunk", "8", "test");
  config.set("layer.2.chunk", "16", "test");
  config.set("layer.2.attention", "plain", "test");
  EXPECT_EQ(config.get(block_options(), 1).chunk, 8);
  EXPECT_EQ(config.get(block_options(), 2).chunk, 16);
  EXPECT_THAT(config.get(net_options(), 2).attention, ElementsAre("plain"));
}

TEST(Config, ErrorListsEveryBadValue) {
  Config config;
  config.set("block.chunk", "0", "run.ini:3");
  config.set("block.dropout", "1", "command line");
  EXPECT_EQ(usage_error([&] { config.get(block_options()); }),
            "2 problems:\n"
            "  run.ini:3: block.chunk = 0: must be an integer, at least 1\n"
            "  command line: block.dropout = 1: must be a finite number, at least 0 and below 1");
}

TEST(Config, FormatListsEveryKeyOnce) {
  Config config;
  config.set("block.chunk", "8", "command line");
  config.set("layer.2.chunk", "16", "run.ini:7");
  EXPECT_EQ(format_config(config, {&block_options(), &file_options(), &note_options(), &block_options()}),
            "input = \n"
            "output = out.h5\n"
            "note = \n"
            "\n"
            "[block]\n"
            "chunk = 8  # command line\n"
            "dropout = 0.1\n"
            "overlap = false\n"
            "read = both\n"
            "\n"
            "[layer.2]\n"
            "chunk = 16  # run.ini:7\n");
}

TEST(Config, FormatReadsBackToTheSameValues) {
  for (const std::string text :
       {"plain", " edges ", "# not a comment", "a # b", "\"quoted\"", "two\nlines\t\r", "\\x23", "\"", "[x]",
        "a = b", "", "caf\xC3\xA9 \xFF", "\x01\x7f", "\\"}) {
    Config config;
    config.set("note", text, "odd#name\nof a file:1");
    config.set("input", format_value(std::vector<std::string>{text + "x", "#,"}), "command line");
    config.set("layer.0.dropout", "0.25", "command line");
    Config again;
    read_config_text(format_config(config, example_sections()), "again.ini", example_sections(), again);
    EXPECT_EQ(again.get(note_options()).note, text);
    EXPECT_THAT(again.get(file_options()).input, ElementsAre(text + "x", "#,"));
    EXPECT_EQ(again.get(block_options(), 0).dropout, 0.25);
    EXPECT_EQ(again.get(block_options()).dropout, 0.1);
  }
}

}  // namespace
}  // namespace tapestry
