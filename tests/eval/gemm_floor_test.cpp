#include "eval/gemm_floor.h"

#include <gtest/gtest.h>

namespace tapestry {
namespace {

TEST(GemmFloor, RunsEveryProductOnceWhateverItsForm) {
  GemmFloor floor({{.m = 3, .n = 200, .k = 5, .transpose_b = true},
                   {.m = 70, .n = 2, .k = 90},
                   {.m = 40, .n = 60, .k = 7, .transpose_a = true, .beta = 1}});
  EXPECT_EQ(floor.flops(), 2.0 * (3 * 200 * 5 + 70 * 2 * 90 + 40 * 60 * 7));
  floor.run();
}

}  // namespace
}  // namespace tapestry
