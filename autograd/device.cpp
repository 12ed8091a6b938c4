#include "autograd/device.h"

namespace tapestry {

#ifdef TAPESTRY_CUDA
bool built_with_cuda() { return true; }
int cuda_devices() { return cuda::found_devices().count; }
static std::string trouble() { return cuda::found_devices().trouble; }
#else
bool built_with_cuda() { return false; }
int cuda_devices() { return 0; }
static std::string trouble() { return ""; }
#endif

void require_device(Device device) {
  if (!device.is_cuda()) return;
  if (!built_with_cuda()) fail_without_cuda();
  check(cuda_devices() > 0, Exit::memory, "there is no CUDA device here, or no driver for it",
        trouble().empty() ? "" : " (" + trouble() + ")", "; nvidia-smi would list it: use the device cpu");
  require(device.index == 0, "the CUDA device is cuda:0, not ", device.name());
}

}  // namespace tapestry
