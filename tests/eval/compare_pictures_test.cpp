#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/gpt2_folder.h"
#include "tests/support/shell.h"

namespace tapestry::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using Json = nlohmann::json;

class ComparePictures : public testing::Test {
 protected:
  ComparePictures() {
    Gpt2Files().write(folder_ / "gpt2");
    shell("tapestry convert --from " + (folder_ / "gpt2") + " --output " + (folder_ / "b.h5") +
          " --attention bsbr --layers 1-2 --bsbr.chunk 5 --bsbr.topk 1");
  }
  ShellResult compare(const std::string& more) {
    return shell("cd " + folder_.path() + " && tapestry compare --a gpt2 --b b.h5 --windows 2 " + more);
  }
  bool is_png(const std::string& name) { return read_text(folder_ / name).starts_with("\x89PNG"); }

  TemporaryFolder folder_;
};

bool has_gnuplot() { return shell("command -v gnuplot").status == 0; }

TEST_F(ComparePictures, PlotsAndMapsAreWritten) {
  const ShellResult result =
      compare("--plots 'the plots' --maps maps --layers 0,2 --heads all --map-tokens 20 --json -");
  ASSERT_EQ(result.status, 0) << result.errors;
  const Json report = Json::parse(result.output);
  ASSERT_EQ(report["attention"].size(), 4u);
  EXPECT_EQ(report["attention"][0]["density_a"], report["attention"][0]["density_b"]);
  EXPECT_LT(report["attention"][3]["density_b"], report["attention"][3]["density_a"]);
  EXPECT_EQ(report["map_tokens"], 20);
  EXPECT_EQ(fs::file_size(folder_ / "maps/layer-2-head-1-b.map"), 4u * 20 * 20);
  EXPECT_THAT(read_text(folder_ / "the plots/positions.csv"), HasSubstr("\n23,23,"));
  EXPECT_THAT(read_text(folder_ / "the plots/layers.csv"), HasSubstr("\n3,"));
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  for (const char* name : {"the plots/layers.png", "the plots/positions.png", "maps/layer-0-head-1.png",
                           "maps/layer-2-head-0.png"})
    EXPECT_TRUE(is_png(name)) << name;
}

TEST_F(ComparePictures, WithoutGnuplotItsScriptsStay) {
  const std::string program = program_path();
  const ShellResult result =
      shell("cd " + folder_.path() + " && PATH=/nowhere " + program +
            " compare --a gpt2 --b b.h5 --windows 2 --plots p --maps m --map-tokens 8");
  ASSERT_EQ(result.status, 0) << result.errors;
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("gnuplot is not installed"), HasSubstr(" p\n"), HasSubstr(" m\n")));
  EXPECT_TRUE(fs::exists(folder_ / "p/positions.gp"));
  EXPECT_FALSE(fs::exists(folder_ / "p/positions.png"));
}

TEST_F(ComparePictures, LayersAndHeadsMustBeThere) {
  EXPECT_THAT(compare("--maps m --layers 3").errors, HasSubstr("'3' is no layer from 0 to 2"));
  EXPECT_THAT(compare("--maps m --heads 2").errors, HasSubstr("--heads 2: '2' is no head from 0 to 1"));
  EXPECT_THAT(compare("--heads 1").errors, HasSubstr("--heads is for pictures"));
}

}  // namespace
}  // namespace tapestry::test
