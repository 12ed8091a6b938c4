#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "autograd/cuda/kernel.cuh"
#include "autograd/tensor.h"
#include "tests/support/expect_error.h"

/// The emulator itself: what is right runs, and what would be undefined on a device shows.
namespace tapestry::test {
namespace {

using cuda::dynamic_shared;
using cuda::for_each_block;
using cuda::for_each_index;
using cuda::kFullMask;
using testing::HasSubstr;

std::string failure_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Each thread hands its number to the next through shared memory.
std::vector<double> pass_on(bool with_barrier) {
  Tensor out = Tensor::empty({256}, DType::float32, Device::cuda());
  float* to = out.mutable_data<float>();
  for_each_block("pass_on", 1, 256, 256 * sizeof(float), [=](int64_t) {
    float* shared = dynamic_shared<float>();
    shared[threadIdx.x] = static_cast<float>(threadIdx.x);
    if (with_barrier) __syncthreads();
    to[threadIdx.x] = shared[(threadIdx.x + 1) % 256];
  });
  return out.values<double>();
}

TEST(CudaEmulator, ABarrierIsWhatMakesSharedMemoryReadable) {
  const std::vector<double> right = pass_on(true), wrong = pass_on(false);
  for (size_t i = 0; i < 256; ++i) ASSERT_EQ(right[i], static_cast<double>((i + 1) % 256));
  EXPECT_TRUE(std::any_of(wrong.begin(), wrong.end(), [](double x) { return std::isnan(x); }));
}

/// All threads read what the first wrote, then the first writes again.
bool reads_agree(bool with_second_barrier) {
  Tensor out = Tensor::empty({64}, DType::float32, Device::cuda());
  float* to = out.mutable_data<float>();
  for_each_block("twice", 1, 64, sizeof(float), [=](int64_t) {
    float* shared = dynamic_shared<float>();
    if (threadIdx.x == 0) *shared = 1;
    __syncthreads();
    to[threadIdx.x] = *shared;
    if (with_second_barrier) __syncthreads();
    if (threadIdx.x == 0) *shared = 2;
  });
  const std::vector<double> values = out.values<double>();
  return std::all_of(values.begin(), values.end(), [](double x) { return x == 1; });
}

TEST(CudaEmulator, AMissingBarrierBeforeAWriteShows) {
  EXPECT_TRUE(reads_agree(true));
  EXPECT_FALSE(reads_agree(false));
}

TEST(CudaEmulator, SharedMemoryStartsAsNanInEveryBlock) {
  Tensor out = Tensor::empty({4}, DType::float32, Device::cuda());
  float* to = out.mutable_data<float>();
  for_each_block("fresh", 4, 32, 0, [=](int64_t block) {
    SHARED_ARRAY(float, shared, 1);
    if (threadIdx.x > 0) return;
    to[block] = *shared;
    *shared = 1;
  });
  for (const double x : out.values<double>()) EXPECT_TRUE(std::isnan(x));
}

TEST(CudaEmulator, LanesExchangeAndReduce) {
  Tensor out = Tensor::empty({3, 64}, DType::int32, Device::cuda());
  int32_t* to = out.mutable_data<int32_t>();
  for_each_block("lanes", 1, 64, 0, [=](int64_t) {
    const int32_t x = static_cast<int32_t>(threadIdx.x);
    to[x] = __shfl_xor_sync(kFullMask, x, 1);
    to[64 + x] = cuda::block_reduce(x, cuda::Sum{});
    to[128 + x] = static_cast<int32_t>(__ballot_sync(kFullMask, x % 32 == 3));
  });
  const std::vector<int32_t> values = out.values<int32_t>();
  for (int32_t i = 0; i < 64; ++i) {
    ASSERT_EQ(values[i], i ^ 1);
    ASSERT_EQ(values[64 + i], 63 * 64 / 2);
    ASSERT_EQ(values[128 + i], 8);
  }
}

TEST(CudaEmulator, ThreadsThatWaitInVainAreAnErrorThatNamesTheKernel) {
  const auto lost_lane = [] {
    for_each_block("lost_lane", 1, 32, 0, [](int64_t) {
      if (threadIdx.x == 7) return;
      __shfl_sync(kFullMask, 1, 0);
    });
  };
  EXPECT_THAT(failure_of(lost_lane), HasSubstr("lost_lane: a lane that others wait for has ended"));
  const auto apart = [] {
    for_each_block("apart", 1, 32, 0, [](int64_t) {
      if (threadIdx.x < 16) {
        __syncthreads();
      } else {
        __syncwarp();
      }
    });
  };
  EXPECT_THAT(failure_of(apart), HasSubstr("apart: threads wait at different barriers"));
  EXPECT_EQ(pass_on(true)[0], 1);  // and the next kernel runs
}

TEST(CudaEmulatorDeathTest, TheHostDoesNotReadDeviceMemory) {
  const Tensor x = Tensor::zeros({4}, DType::float32, Device::cuda());
  EXPECT_EQ(x.values<float>()[0], 0);
  EXPECT_DEATH({ std::printf("%f", static_cast<double>(*x.data<float>())); }, "");
}

TEST(CudaEmulatorDeathTest, AWriteBehindATensorEndsTheProgram) {
  const auto overrun = [] {
    Tensor x = Tensor::empty({100}, DType::float32, Device::cuda());
    float* to = x.mutable_data<float>();
    for_each_index("overrun", 101, [=](int64_t i) { to[i] = 0; });
  };
  EXPECT_DEATH(overrun(), "a kernel wrote .* bytes behind a tensor of 400 bytes");
}

}  // namespace
}  // namespace tapestry::test
