#pragma once

#include <gtest/gtest.h>
#include <omp.h>

namespace tapestry::test {

/// What `run` returns has the same bits with 1, 2, 3 and 5 threads.
template <class Run>
void expect_same_for_any_threads(const Run& run) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto expected = run();
  for (const int count : {2, 3, 5}) {
    omp_set_num_threads(count);
    EXPECT_TRUE(run() == expected) << count << " threads";
  }
  omp_set_num_threads(threads);
}

}  // namespace tapestry::test
