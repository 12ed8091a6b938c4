#include "base/parallel.h"

#include <gtest/gtest.h>

#include <new>
namespace tapestry::test {
namespace {

TEST(Parallel, WhatALoopThrowsComesOut) {
  for (const int64_t first : {0, 7, 99}) {
    const auto job = [&](int64_t i) {
      if (i >= first) throw std::bad_alloc();
    };
    EXPECT_THROW(parallel_jobs(100, job), std::bad_alloc);
    EXPECT_THROW(parallel_for(100, 1, [&](int64_t begin, int64_t) { job(begin); }), std::bad_alloc);
  }
}

TEST(Parallel, ALoopAfterOneThatThrewIsWhole) {
  EXPECT_THROW(parallel_jobs(100, [](int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
  std::vector<int> done(100, 0);
  parallel_jobs(100, [&](int64_t i) { ++done[i]; });
  parallel_for(100, 3, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++done[i];
  });
  EXPECT_EQ(done, std::vector<int>(100, 2));
}

}  // namespace
}  // namespace tapestry::test
