#include "base/resources.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

namespace tapestry {
namespace {

TEST(Resources, CoresFollowTheAffinityMask) {
  const int64_t all = available_cores();
  EXPECT_GE(all, 1);
  EXPECT_LE(all, static_cast<int64_t>(std::thread::hardware_concurrency()));
  int64_t alone = 0;
  std::thread([&] {  // the mask of this thread only
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    sched_setaffinity(0, sizeof set, &set);
    alone = available_cores();
  })
      .join();
  EXPECT_EQ(alone, 1);
}

TEST(Resources, PeakMemoryGrowsWithWhatIsTouched) {
  const int64_t before = peak_memory_bytes();
  const std::vector<char> block(before + (64 << 20), 'x');
  EXPECT_GE(peak_memory_bytes(), before + (60 << 20));
  EXPECT_GT(available_memory_bytes(), 0);
}

}  // namespace
}  // namespace tapestry
