#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path source_folder = tapestry::source_folder();
constexpr int64_t most_lines = 400;

// What the files of a folder may include: base <- autograd <- {layers, optim, data} <- train <- eval.
const std::map<std::string, std::set<std::string>>& allowed_folders() {
  static const std::map<std::string, std::set<std::string>> allowed = {
      {"base", {"base"}},
      {"autograd", {"base", "autograd"}},
      {"layers", {"base", "autograd", "layers"}},
      {"optim", {"base", "autograd", "optim"}},
      {"data", {"base", "autograd", "data"}},
      {"train", {"base", "autograd", "layers", "optim", "data", "train"}},
      {"eval", {"base", "autograd", "layers", "optim", "data", "train", "eval"}},
      {"tests", {"base", "autograd", "layers", "optim", "data", "train", "eval", "tests"}},
  };
  return allowed;
}

std::string first_folder(const fs::path& path) { return path.begin()->string(); }

std::vector<std::string> quoted_includes(const std::string& text) {
  static const std::regex include("(^|\n)[ \t]*#[ \t]*include[ \t]*\"([^\"]*)\"");
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at)
    found.push_back((*at)[2]);
  return found;
}

bool in_core(const fs::path& file) { return file.parent_path() == "autograd"; }

/// The sections of docs/attention.md, "7.6", and its labels of formulas, "4.a".
const std::set<std::string>& sections() {
  static const auto found = [] {
    std::set<std::string> all;
    const std::string text = read_text(source_folder / "docs/attention.md");
    static const std::regex heading("\n##+ ([0-9]+(\\.[0-9]+)?)|\\(([0-9]\\.[a-z])\\)");
    for (std::sregex_iterator at(text.begin(), text.end(), heading), end; at != end; ++at)
      all.insert((*at)[1].matched ? (*at)[1] : (*at)[3]);
    return all;
  }();
  return found;
}

/// The sections that comments cite, also across the ends of their lines.
std::vector<std::string> cited_sections(const std::string& text) {
  static const std::regex line_end("\n *//+ ?"), number("[0-9]+(\\.[0-9a-z]+)?"),
      citation("ATTENTION (sections? )?([0-9]+(\\.[0-9a-z]+)?(, | and )?)+");
  const std::string joined = std::regex_replace(text, line_end, " ");
  std::vector<std::string> cited;
  for (std::sregex_iterator at(joined.begin(), joined.end(), citation), end; at != end; ++at) {
    const std::string of_one = at->str();
    for (std::sregex_iterator n(of_one.begin(), of_one.end(), number); n != end; ++n)
      cited.push_back(n->str());
  }
  return cited;
}

// What breaks the rules in the file with path `file` from the root and content `text`.
std::vector<std::string> violations(const fs::path& file, const std::string& text) {
  std::vector<std::string> bad;
  const auto& allowed = allowed_folders().at(first_folder(file));
  for (const fs::path include : quoted_includes(text)) {
    const std::string edge = file.string() + " includes " + include.string();
    if (!fs::exists(source_folder / include)) bad.push_back(edge + ": not a path from the root");
    if (include.string().find("..") != std::string::npos) bad.push_back(edge + ": a path with ..");
    if (!allowed.count(first_folder(include))) bad.push_back(edge + ": against the direction");
    const bool of_an_op = include.string().rfind("autograd/ops/", 0) == 0;
    if (in_core(file) && of_an_op) bad.push_back(edge + ": the core knows no op");
  }
  const bool header = file.extension() == ".h" || file.extension() == ".cuh";
  if (header && text.rfind("#pragma once\n", 0) != 0)
    bad.push_back(file.string() + ": starts without #pragma once");
  for (const char* clock : {"system_clock", "gettimeofday", "CLOCK_REALTIME", "high_resolution_clock"})
    if (first_folder(file) != "tests" && text.find(clock) != std::string::npos)
      bad.push_back(file.string() + ": " + clock + " may jump; base/clock.h has one that does not");
  for (const std::string& section : cited_sections(text))
    if (!sections().count(section))
      bad.push_back(file.string() + ": docs/attention.md has no section " + section);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  if (lines > most_lines) bad.push_back(file.string() + ": has " + std::to_string(lines) + " lines");
  return bad;
}

std::vector<fs::path> source_files() {
  const std::set<std::string> kinds = {".h", ".cpp", ".cu", ".cuh"};
  std::vector<fs::path> files;
  for (const auto& [folder, allowed] : allowed_folders()) {
    if (!fs::exists(source_folder / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(source_folder / folder)) {
      if (kinds.count(entry.path().extension())) files.push_back(fs::relative(entry.path(), source_folder));
    }
  }
  return files;
}

TEST(Structure, EveryFileKeepsTheRules) {
  const auto files = source_files();
  EXPECT_GT(files.size(), 50u);
  for (const fs::path& file : files)
    EXPECT_THAT(violations(file, read_text(source_folder / file)), IsEmpty());
}

TEST(Structure, EveryRuleBites) {
  const auto only = [](const char* file, const std::string& text) {
    const auto bad = violations(file, text);
    return bad.size() == 1 ? bad[0] : std::to_string(bad.size()) + " violations";
  };
  EXPECT_THAT(only("base/x.cpp", "#include \"autograd/tensor.h\"\n"), HasSubstr("against the direction"));
  EXPECT_THAT(only("layers/x.cpp", "\n# include \"data/atomic_file.h\"\n"),
              HasSubstr("against the direction"));
  EXPECT_THAT(only("autograd/x.cpp", "#include \"autograd/ops/linear.h\"\n"),
              HasSubstr("the core knows no op"));
  EXPECT_THAT(violations("autograd/ops/x.cpp", "#include \"autograd/ops/linear.h\"\n"), IsEmpty());
  EXPECT_THAT(only("base/x.cpp", "#include \"base/../base/error.h\"\n"), HasSubstr("with .."));
  EXPECT_THAT(violations("base/x.cpp", "#include \"error.h\"\n")[0], HasSubstr("not a path from the root"));
  EXPECT_THAT(only("base/x.h", "#ifndef X\n"), HasSubstr("#pragma once"));
  EXPECT_THAT(only("base/x.cpp", "std::chrono::system_clock::now()"), HasSubstr("may jump"));
  EXPECT_THAT(only("base/x.cpp", std::string(401, '\n')), HasSubstr("401 lines"));
  const std::string cites = "/// (ATTENTION";
  EXPECT_THAT(violations("base/x.cpp", cites + "\n/// sections 7.1, 7.6 and 4.a) and 7.9"), IsEmpty());
  EXPECT_THAT(only("base/x.cpp", cites + " sections 7.1 and\n/// 7.9)"), HasSubstr("no section 7.9"));
}

}  // namespace
}  // namespace tapestry
