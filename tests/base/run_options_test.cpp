#include "base/run_options.h"

#include <gtest/gtest.h>
#include <omp.h>

#include "base/resources.h"

namespace tapestry {
namespace {

TEST(RunOptions, SetsTheNumberOfThreads) {
  apply_run_options({.threads = 3});
  EXPECT_EQ(omp_get_max_threads(), 3);
  apply_run_options({.threads = 0});
  EXPECT_EQ(omp_get_max_threads(), available_cores());
}

}  // namespace
}  // namespace tapestry
