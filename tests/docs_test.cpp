#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;

/// "Suite.Name" of every test of the project.
std::set<std::string> all_tests() {
  static const std::regex test("TEST(_F|_P)?\\((\\w+),\\s*(\\w+)\\)");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(source_folder() + "/tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read_text(entry.path().string());
    for (std::sregex_iterator it(text.begin(), text.end(), test), end; it != end; ++it)
      names.insert(it->str(2) + "." + it->str(3));
  }
  return names;
}

TEST(Docs, EveryTestThatReliabilityNamesIsThere) {
  static const std::regex named("`([A-Z]\\w+\\.[A-Z]\\w+)`");
  const std::set<std::string> tests = all_tests();
  const std::string text = read_text(source_folder() + "/docs/reliability.md");
  int found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), named), end; it != end; ++it, ++found)
    EXPECT_TRUE(tests.contains(it->str(1))) << it->str(1);
  EXPECT_GT(found, 50);
}

}  // namespace
}  // namespace tapestry::test
