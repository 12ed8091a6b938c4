#include "autograd/pool.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"

namespace tapestry::test {
namespace {

const Device cpu_device = Device::cpu();
constexpr int64_t kSize = 123'457;  // a size that no other test has

TEST(Pool, ReusesBlocksOfAboutTheSameSize) {
  void* first = pool_allocate(cpu_device, kSize);
  pool_release(cpu_device, first, kSize);
  const int64_t calls = pool_stats(cpu_device).system_calls;
  void* again = pool_allocate(cpu_device, kSize - 100);
  EXPECT_EQ(again, first);
  EXPECT_EQ(pool_stats(cpu_device).system_calls, calls);
  pool_release(cpu_device, again, kSize - 100);
}

TEST(Pool, AlignsEveryBlock) {
  for (int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{65}, int64_t{4097}, int64_t{5} << 20}) {
    void* memory = pool_allocate(cpu_device, bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u) << bytes;
    pool_release(cpu_device, memory, bytes);
  }
}

TEST(Pool, CountsUseAndPeak) {
  const int64_t before = pool_stats(cpu_device).in_use;
  pool_reset_peak(cpu_device);
  void* a = pool_allocate(cpu_device, kSize);
  void* b = pool_allocate(cpu_device, kSize);
  pool_release(cpu_device, a, kSize);
  const PoolStats stats = pool_stats(cpu_device);
  EXPECT_GE(stats.in_use - before, kSize);
  EXPECT_LE(stats.in_use - before, kSize * 9 / 8 + 128);
  EXPECT_EQ(stats.peak - before, 2 * (stats.in_use - before));
  EXPECT_GE(stats.reserved, stats.in_use);
  pool_release(cpu_device, b, kSize);
  EXPECT_EQ(pool_stats(cpu_device).in_use, before);
}

TEST(Pool, TrimGivesCachedBlocksBack) {
  pool_release(cpu_device, pool_allocate(cpu_device, kSize), kSize);
  pool_trim(cpu_device);
  EXPECT_EQ(pool_stats(cpu_device).reserved, pool_stats(cpu_device).in_use);
}

TEST(Pool, PoisonsWhatItHandsOut) {
  void* memory = pool_allocate(cpu_device, kSize);
  std::memset(memory, 0, kSize);
  pool_release(cpu_device, memory, kSize);
  memory = pool_allocate(cpu_device, kSize);
  EXPECT_EQ(static_cast<unsigned char*>(memory)[kSize - 1], 0xFF);
  pool_release(cpu_device, memory, kSize);
}

TEST(Pool, SaysThatMemoryIsOut) {
  try {
    pool_allocate(cpu_device, int64_t{1} << 60);
    FAIL() << "2^60 bytes were to be had";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::memory);
  }
}

TEST(PoolDeathTest, AGuardCatchesAWriteBehindATensor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto* memory = static_cast<char*>(pool_allocate(cpu_device, kSize));
        memory[kSize] = 0;
        pool_release(cpu_device, memory, kSize);
      },
      "wrote 1 bytes behind a tensor of 123457 bytes");
}

#ifndef TAPESTRY_CUDA
TEST(Pool, WithoutCudaItSaysSo) { EXPECT_THROW(pool_allocate(Device::cuda(), 8), Error); }
#endif

}  // namespace
}  // namespace tapestry::test
