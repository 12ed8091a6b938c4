#include "train/run_device.h"

#include <cstdio>

namespace tapestry {

Device run_device(const RunOptions& options) {
  if (options.device == "cuda") {
    require_device(Device::cuda());
    return Device::cuda();
  }
  if (built_with_cuda() && cuda_devices() == 0)
    std::fprintf(stderr, "tapestry: no CUDA device is here, everything runs on the CPU\n");
  return Device::cpu();
}

}  // namespace tapestry
