#include "train/run_device.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace tapestry::test {
namespace {

TEST(RunDevice, ADeviceThatIsNotThereIsAnError) {
  if (cuda_devices() > 0) GTEST_SKIP() << "there is a device";
  expect_error(Exit::memory, built_with_cuda() ? "no CUDA device" : "built without CUDA",
               [] { run_device({.device = "cuda"}); });
}

TEST(RunDevice, OneLineSaysThatAProgramWithCudaRunsOnTheCpu) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_device({.device = "cpu"}), Device::cpu());
  const std::string said = testing::internal::GetCapturedStderr();
  const bool expected = built_with_cuda() && cuda_devices() == 0;
  EXPECT_EQ(said, expected ? "tapestry: no CUDA device is here, everything runs on the CPU\n" : "");
}

}  // namespace
}  // namespace tapestry::test
