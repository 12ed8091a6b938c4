#include "base/program.h"

#include <gmock/gmock.h>

#include <new>
#include <stdexcept>
#include <system_error>

#include "base/run_options.h"
#include "tests/base/example_options.h"
#include "tests/support/shell.h"

namespace tapestry {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  int status;
  std::string output;
  std::string errors;
};

// What the program does with `words` when its verb "weave" runs `run` and the verb "other" does nothing.
Outcome outcome(
    const std::vector<std::string>& words,
    const std::function<Exit(const Config&)>& run = [](const Config&) { return Exit::done; }) {
  const std::vector<Command> commands = {
      {"weave", "weaves", example_sections(), run},
      {"other", "does nothing", {}, [](const Config&) { return Exit::done; }},
  };
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = dispatch(words, commands);
  return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(Program, RunsTheVerbWithItsOptions) {
  int64_t chunk = 0, seed = 0;
  const auto result = outcome({"weave", "--block.chunk", "8", "--run.seed", "3"}, [&](const Config& config) {
    chunk = config.get(block_options()).chunk;
    seed = config.get(run_options()).seed;
    return Exit::nonfinite;
  });
  EXPECT_EQ(result.status, 5);
  EXPECT_EQ(chunk, 8);
  EXPECT_EQ(seed, 3);
}

TEST(Program, CommandLineWinsOverTheFile) {
  const TemporaryFolder folder;
  write_text(folder / "run.ini", "[block]\nchunk = 3\nread = state\n");
  for (const auto& config_words : {std::vector<std::string>{"--config", folder / "run.ini"},
                                   std::vector<std::string>{"--config=" + (folder / "run.ini")}}) {
    std::vector<std::string> words = {"weave", "--block.chunk", "8"};
    words.insert(words.end(), config_words.begin(), config_words.end());
    BlockOptions options;
    outcome(words, [&](const Config& config) {
      options = config.get(block_options());
      return Exit::done;
    });
    EXPECT_EQ(options.chunk, 8);
    EXPECT_EQ(options.read, "state");
  }
}

TEST(Program, HelpListsEveryKey) {
  const auto result = outcome({"weave", "--help"});
  EXPECT_EQ(result.status, 0);
  for (const OptionSection* section : example_sections()) {
    for (const Option& option : section->options) {
      const std::string key = "--" + (section->name.empty() ? "" : section->name + ".") + option.name;
      EXPECT_THAT(result.output, AllOf(HasSubstr(key), HasSubstr(option.help)));
    }
  }
  EXPECT_THAT(result.output, HasSubstr("integer, at least 1, default 64; also --layer.N.chunk\n"));
  EXPECT_THAT(result.output, HasSubstr("--run.seed"));
  EXPECT_EQ(outcome({"help", "weave"}).output, result.output);
}

TEST(Program, HelpListsEveryVerb) {
  const auto result = outcome({"help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("  weave  weaves\n"), HasSubstr("  other  does nothing\n")));
  EXPECT_EQ(outcome({"--help"}).output, result.output);
  EXPECT_EQ(outcome({}).errors, result.output);
  EXPECT_EQ(outcome({}).status, 2);
  EXPECT_THAT(outcome({"--version"}).output, testing::MatchesRegex("tapestry [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Program, PrintConfigReadsBack) {
  const auto result = outcome({"weave", "--block.chunk", "8", "--print-config"});
  const TemporaryFolder folder;
  write_text(folder / "run.ini", result.output);
  Config config;
  read_config_file(folder / "run.ini",
                   {&block_options(), &file_options(), &net_options(), &note_options(), &run_options()},
                   config);
  EXPECT_EQ(config.get(block_options()).chunk, 8);
}

TEST(Program, UsageErrorsAreOneMessage) {
  EXPECT_EQ(outcome({"waeve"}).errors,
            "tapestry waeve: unknown verb 'waeve', did you mean weave? See tapestry help\n");
  EXPECT_EQ(outcome({"weave", "--block.chunk", "0"}).errors,
            "tapestry weave: --block.chunk 0: must be an integer, at least 1\n");
  EXPECT_EQ(outcome({"weave", "--config"}).errors, "tapestry weave: --config needs a file\n");
  EXPECT_EQ(outcome({"weave", "--block.chunk", "0"}).status, 2);
}

TEST(Program, ExceptionsBecomeExitStatuses) {
  const auto thrown = [](const auto& exception) {
    return outcome({"weave"}, [&](const Config&) -> Exit { throw exception; });
  };
  EXPECT_EQ(thrown(Error(Exit::busy, "x is busy")).status, 8);
  EXPECT_EQ(thrown(Error(Exit::busy, "x is busy")).errors, "tapestry weave: x is busy\n");
  EXPECT_EQ(thrown(std::bad_alloc()).status, 6);
  EXPECT_THAT(thrown(std::bad_alloc()).errors, StartsWith("tapestry weave: out of memory; "));
  EXPECT_EQ(thrown(std::system_error(std::make_error_code(std::errc::io_error))).status, 4);
  EXPECT_EQ(thrown(std::logic_error("broken")).status, 1);
  EXPECT_EQ(thrown(std::logic_error("broken")).errors, "tapestry weave: internal error: broken\n");
}

// The real program, as a shell starts it.

TEST(ProgramProcess, LostOutputIsAnError) {
  // Into a pipe whose reader is gone, which shows when nothing can be written any more.
  const char* broken_pipe =
      "((trap '' PIPE; while echo x; do :; done) 2>/dev/null; tapestry help; echo $? >&2) | true";
  for (const char* line : {"tapestry help > /dev/full", "tapestry help >&-", broken_pipe}) {
    const auto result = shell(line);
    EXPECT_TRUE(result.status == 4 || result.errors.find("\n4\n") != std::string::npos)
        << line << result.errors;
    EXPECT_THAT(result.errors, StartsWith("tapestry help: cannot write standard output")) << line;
  }
}

TEST(ProgramProcess, ClosedStreamsAndForeignLocalesDoNoHarm) {
  const auto plain = shell("tapestry help");
  EXPECT_EQ(plain.status, 0);
  for (const char* line :
       {"tapestry help <&-", "tapestry help 2>&-", "LC_ALL=de_DE.UTF-8 tapestry help",
        "unset HOME; TZ=Asia/Tokyo tapestry help", "OMP_WAIT_POLICY=active tapestry help"}) {
    const auto result = shell(line);
    EXPECT_EQ(result.status, 0) << line;
    EXPECT_EQ(result.output, plain.output) << line;
  }
}

TEST(ProgramProcess, IdleThreadsSleep) {
  EXPECT_THAT(shell("unset OMP_WAIT_POLICY; OMP_DISPLAY_ENV=verbose tapestry --version").errors,
              HasSubstr("GOMP_SPINCOUNT = '0'"));
}

// Every key of every verb with one letter changed, in a file and on the command line. The message lists all
// unknown keys at once, a line each, so that one start of the program tries all keys of a verb.
struct Misspelling {
  std::string wrong;
  std::string right;
};

std::vector<std::string> matches_in(const std::string& text, const std::string& before, const char* end) {
  std::vector<std::string> found;
  for (size_t at = text.find(before); at != std::string::npos; at = text.find(before, at + 1)) {
    const size_t start = at + before.size();
    found.push_back(text.substr(start, text.find_first_of(end, start) - start));
  }
  return found;
}

std::vector<Misspelling> misspelled_keys(const std::string& verb) {
  std::vector<Misspelling> all;
  for (const std::string& key : matches_in(shell("tapestry " + verb + " --help").output, "\n  --", " ")) {
    if (key == "config" || key == "print-config") continue;
    size_t at = (all.size() * 7) % key.size();
    if (key[at] == '.') ++at;
    std::string wrong = key;
    wrong[at] = wrong[at] == 'q' ? 'x' : 'q';
    all.push_back({wrong, key});
  }
  return all;
}

size_t count_corrected(const std::string& message, const std::vector<Misspelling>& keys) {
  size_t corrected = 0;
  for (const auto& [wrong, right] : keys) {
    const auto line = matches_in(message, wrong + ", did you mean ", "\n");
    corrected += !line.empty() && line[0].find(right) != std::string::npos;
  }
  return corrected;
}

TEST(ProgramProcess, MisspelledKeysOfEveryVerbAreCorrected) {
  size_t total = 0, corrected = 0;
  for (const std::string& verb : matches_in(shell("tapestry help").output, "\n  ", " ")) {
    const auto keys = misspelled_keys(verb);
    std::string words, lines;
    for (const auto& key : keys) {
      words += " --" + key.wrong + " 1";
      lines += key.wrong + " = 1\n";
    }
    const TemporaryFolder folder;
    write_text(folder / "run.ini", lines);
    for (const std::string& arguments : {words, " --config " + (folder / "run.ini")}) {
      const auto result = shell("tapestry " + verb + arguments);
      EXPECT_EQ(result.status, 2) << verb << result.errors;
      EXPECT_THAT(result.errors, HasSubstr(join(keys.size(), " problems"))) << verb;
      total += keys.size();
      corrected += count_corrected(result.errors, keys);
    }
  }
  EXPECT_GE(static_cast<double>(corrected), 0.95 * static_cast<double>(total));
}

}  // namespace
}  // namespace tapestry
