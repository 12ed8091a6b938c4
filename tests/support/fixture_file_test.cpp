#include "tests/support/fixture_file.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tapestry::test {
namespace {

TEST(FixtureFile, ReadsGroupsArraysAndAttributes) {
  const FixtureGroup root = FixtureGroup::open(fixture_folder() + "/optimizers.h5");
  ASSERT_FALSE(root.groups().empty());
  EXPECT_TRUE(root.arrays().empty());
  const FixtureGroup group = root.group(root.groups().front());
  const FixtureArray p0 = group.array("p0");
  EXPECT_EQ(p0.shape.size(), 2u);
  EXPECT_EQ(static_cast<int64_t>(p0.data.size()), p0.shape[0] * p0.shape[1]);
  EXPECT_EQ(group.array("step0/grad0").data.size(), p0.data.size());
  EXPECT_GT(group.number("lr"), 0);
  EXPECT_EQ(group.integer("maximize"), 0);
  EXPECT_EQ(group.number("none", 7), 7);
  EXPECT_TRUE(group.has("step0/p0"));
  EXPECT_FALSE(group.has("step0/none"));
}

TEST(FixtureFile, NamesWhatIsMissing) {
  const std::string path = fixture_folder() + "/optimizers.h5";
  const FixtureGroup root = FixtureGroup::open(path);
  EXPECT_THROW(root.array("none"), Error);
  EXPECT_THROW(root.group("none"), Error);
  EXPECT_THROW(root.number("none"), Error);
  EXPECT_THROW(FixtureGroup::open(path + ".none"), Error);
}

}  // namespace
}  // namespace tapestry::test
