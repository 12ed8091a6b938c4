#pragma once

#include <gtest/gtest.h>

#include "autograd/device.h"

namespace tapestry::test {

/// What a test needs a device for is skipped by name where there is none. The suite's name begins with Cuda.
class NeedsCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_devices() == 0)
      GTEST_SKIP() << "gpu: " << (built_with_cuda() ? "no device" : "built without CUDA");
  }
};

}  // namespace tapestry::test
