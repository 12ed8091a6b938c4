#include "base/folder.h"

#include <gmock/gmock.h>

#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

TEST(Folder, NamesWhatIsInIt) {
  const TemporaryFolder folder;
  write_text(folder / "a", "");
  write_text(folder / ".b", "");
  std::filesystem::create_directory(folder / "c");
  std::error_code fault;
  EXPECT_THAT(names_in_folder(folder.path(), fault), testing::UnorderedElementsAre("a", ".b", "c"));
  EXPECT_FALSE(fault);
}

TEST(Folder, SaysWhyItCannotBeRead) {
  const TemporaryFolder folder;
  write_text(folder / "a", "");
  std::error_code fault;
  EXPECT_THAT(names_in_folder(folder / "none", fault), testing::IsEmpty());
  EXPECT_EQ(fault, std::errc::no_such_file_or_directory);
  EXPECT_THAT(names_in_folder(folder / "a", fault), testing::IsEmpty());
  EXPECT_EQ(fault, std::errc::not_a_directory);
}

}  // namespace
}  // namespace tapestry
