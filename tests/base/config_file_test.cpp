#include <gmock/gmock.h>

#include "base/options.h"
#include "tests/base/example_options.h"

namespace tapestry {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Config read(const std::string& text) {
  Config config;
  read_config_text(text, "run.ini", example_sections(), config);
  return config;
}

std::string error_of(const std::string& text) {
  return usage_error([&] { read(text); });
}

TEST(ConfigFile, ReadsSectionsCommentsAndQuotes) {
  const Config config = read(
      "# a comment\n"
      "output = some file.h5   # and another\n"
      "note = \"a \\x23 \\\"b\\\"\\n\"\n"
      "\n"
      "  [block]  # heading\n"
      "chunk=8\n"
      "\tread =\tstate\n"
      "[layer.11]\n"
      "chunk = 16");
  EXPECT_EQ(config.get(file_options()).output, "some file.h5");
  EXPECT_EQ(config.get(note_options()).note, "a # \"b\"\n");
  EXPECT_EQ(config.get(block_options()).chunk, 8);
  EXPECT_EQ(config.get(block_options()).read, "state");
  EXPECT_EQ(config.get(block_options(), 11).chunk, 16);
  EXPECT_EQ(config.find("block.chunk")->source, "run.ini:6");
}

TEST(ConfigFile, EmptyValuesAreForTextAndListsOnly) {
  EXPECT_EQ(read("output =\n").get(file_options()).output, "");
  EXPECT_EQ(error_of("[block]\nchunk =\n"), "run.ini:2: block.chunk = : must be an integer, at least 1");
  EXPECT_NE(error_of("[block]\noverlap =\n"), "");
}

TEST(ConfigFile, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of("[block]\nchunk = 1\nchunk = 2\n"),
            "run.ini:3: block.chunk was given before, in line 2");
  EXPECT_EQ(error_of("[block]\nchunk = 1e3\n"),
            "run.ini:2: block.chunk = 1e3: must be an integer, at least 1");
  EXPECT_THAT(error_of("\n[block]\nchunk 3\n"), StartsWith("run.ini:3: 'chunk 3' is neither"));
  EXPECT_THAT(error_of("[block\n"), StartsWith("run.ini:1: a section is written"));
  EXPECT_THAT(error_of("\xEF\xBB\xBF[block]\n"),
              StartsWith("run.ini:1: the file starts with a byte order mark"));
  EXPECT_THAT(error_of("[block]\r\nchunk = 3\r\n"), StartsWith("run.ini:1: the lines end as on Windows"));
  EXPECT_THAT(error_of("note = \"a\n"), StartsWith("run.ini:1: note: bad quotes"));
  EXPECT_THAT(error_of("note = \"a\\q\"\n"), StartsWith("run.ini:1: note: bad quotes"));
  EXPECT_THAT(error_of("note = \"a\" b\n"), StartsWith("run.ini:1: note: bad quotes"));
}

TEST(ConfigFile, UnknownKeysNameTheNearest) {
  EXPECT_EQ(error_of("[block]\nchunks = 1\n"),
            "run.ini:2: unknown key block.chunks, did you mean block.chunk?");
  EXPECT_EQ(error_of("[net]\nchunk = 1\n"), "run.ini:2: unknown key net.chunk, did you mean block.chunk?");
  EXPECT_EQ(error_of("width = 1\n"), "run.ini:1: unknown key width, did you mean net.width?");
  EXPECT_EQ(error_of(".note = 1\n"), "run.ini:1: unknown key .note, did you mean note?");
  EXPECT_EQ(error_of("[blcok]\nchunk = 1\n"), "run.ini:1: unknown section [blcok], did you mean [block]?");
  EXPECT_EQ(error_of("[layer.x]\n"), "run.ini:1: unknown section [layer.x], did you mean [layer.N]?");
  EXPECT_EQ(error_of("[layer.01]\n"), "run.ini:1: unknown section [layer.01], did you mean [layer.N]?");
  EXPECT_EQ(error_of("[layer.1]\nchnk = 1\n"),
            "run.ini:2: unknown key layer.1.chnk, did you mean layer.1.chunk?");
  EXPECT_EQ(error_of("[layer.1]\nwidth = 1\n"),
            "run.ini:2: unknown key layer.1.width, did you mean net.width?");
}

TEST(ConfigFile, ListsAllProblemsAtOnce) {
  EXPECT_THAT(error_of("[block]\nchunk = 0\nread = all\nfoo = 1\n"), StartsWith("3 problems:\n  run.ini:2"));
}

TEST(ConfigFile, WhatIsNoConfigurationIsNotReadToItsEnd) {
  std::string text = "[net]\n";
  for (int i = 0; i < 100'000; ++i) text += join("key", i, " = 1\n");
  const std::string error = error_of(text);
  EXPECT_THAT(error, StartsWith("200 problems and perhaps more:\n  run.ini:2: unknown key net.key0"));
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 200);
}

TEST(ConfigFile, WrongPathsAreRefused) {
  Config config;
  const auto error = [&](const std::string& path) {
    return usage_error([&] { read_config_file(path, example_sections(), config); });
  };
  EXPECT_THAT(error("/no/such.ini"), HasSubstr("/no/such.ini: No such file"));
  EXPECT_THAT(error("/tmp"), HasSubstr("is a folder"));
  EXPECT_THAT(error("/dev/zero"), HasSubstr("longer than 1 MiB"));
}

}  // namespace
}  // namespace tapestry
