#include "base/progress.h"

#include <gmock/gmock.h>

#include <sstream>

namespace tapestry {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class ProgressTest : public testing::Test {
 protected:
  ProgressTarget target(bool terminal) {
    return {&out_, terminal, 60, [this] { return now_; }};
  }
  std::string taken() {
    const std::string text = out_.str();
    out_.str("");
    return text;
  }

  std::ostringstream out_;
  double now_ = 100;
};

TEST_F(ProgressTest, PlainLinesAreRare) {
  Progress progress("eval", 4000, "tokens", 0, target(false));
  now_ += 9;
  progress.update(900);
  EXPECT_EQ(taken(), "");
  now_ += 1;
  progress.update(1000, "ppl 31.2");
  EXPECT_EQ(taken(), "eval  1.0 k/4.0 k tokens  25%  100 tokens/s  ppl 31.2  30s left\n");
  now_ += 1;
  progress.update(1100);
  EXPECT_EQ(taken(), "");
}

TEST_F(ProgressTest, LastStateIsAlwaysShown) {
  {
    Progress progress("eval", 100, "steps", 0, target(false));
    now_ += 2;
    progress.update(100);
  }
  EXPECT_EQ(taken(), "eval  100/100 steps  100%  50 steps/s  2.0s\n");
}

TEST_F(ProgressTest, TerminalLineIsRewrittenAndFits) {
  Progress progress("train", 100, "steps", 0, target(true));
  now_ += 1;
  progress.update(10, std::string(200, 'x'));
  const std::string text = taken();
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.size(), 1 + 59 + 3u);
  now_ += 0.1;
  progress.update(11);
  EXPECT_EQ(taken(), "");
  progress.line("saved");
  EXPECT_EQ(taken(), "\r\x1b[Ksaved\n");
  progress.finish();
  EXPECT_THAT(taken(), EndsWith("\x1b[K\n"));
}

TEST_F(ProgressTest, RateOfAResumedRunCountsOnlyItsOwnWork) {
  Progress progress("train", 2000, "steps", 1000, target(false));
  now_ += 10;
  progress.update(1010);
  EXPECT_THAT(taken(), HasSubstr("  1 steps/s  16m 30s left"));
}

TEST_F(ProgressTest, UnknownTotalHasNoShare) {
  Progress progress("read", 0, "lines", 0, target(false));
  now_ += 10;
  progress.update(50);
  EXPECT_EQ(taken(), "read  50 lines  5 lines/s  10s\n");
}

}  // namespace
}  // namespace tapestry
