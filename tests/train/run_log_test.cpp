#include "train/run_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

LogRow row(int64_t step) { return {.step = step, .tokens = step * 10, .train_loss = 2.5, .seconds = 1.5}; }

TEST(RunLog, WritesALineForEachRowAndLeavesUnmeasuredCellsEmpty) {
  TemporaryFolder folder;
  RunLog log(folder / "metrics.csv", 0);
  log.write(row(1));
  LogRow validated = row(2);
  validated.valid_loss = 0;
  log.write(validated);
  EXPECT_EQ(
      read_text(folder / "metrics.csv"),
      "step,tokens,train_loss,valid_loss,valid_perplexity,learning_rate,grad_norm,tokens_per_second,seconds,"
      "peak_memory_bytes\n"
      "1,10,2.5,,,,,,1.5,0\n"
      "2,20,2.5,0,1,,,,1.5,0\n");
}

TEST(RunLog, ResumingCutsWhatComesAfterTheStepAndUnfinishedLines) {
  TemporaryFolder folder;
  {
    RunLog log(folder / "metrics.csv", 0);
    for (int64_t step : {1, 2, 3}) log.write(row(step));
  }
  const std::string all = read_text(folder / "metrics.csv");
  std::ofstream(folder / "metrics.csv", std::ios::app) << "4,4";
  RunLog at_3(folder / "metrics.csv", 4);
  EXPECT_EQ(read_text(folder / "metrics.csv"), all);
  RunLog at_1(folder / "metrics.csv", 1);
  EXPECT_NE(read_text(folder / "metrics.csv").find("\n1,10"), std::string::npos);
  EXPECT_EQ(read_text(folder / "metrics.csv").find("\n2,20"), std::string::npos);
}

}  // namespace
}  // namespace tapestry::test
