#pragma once

#include <string>

#include "base/error.h"

namespace tapestry {

/// Where a tensor's memory lies and its ops run.
struct Device {
  enum class Kind { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  static Device cpu() { return {}; }
  static Device cuda(int index = 0) { return {Kind::cuda, index}; }
  bool is_cuda() const { return kind == Kind::cuda; }
  bool operator==(const Device&) const = default;
  std::string name() const { return is_cuda() ? join("cuda:", index) : "cpu"; }
};

[[noreturn]] inline void fail_without_cuda() {
  fail(Exit::memory,
       "this program was built without CUDA: use the device cpu, or build with the CUDA toolkit");
}

/// Whether this program holds the CUDA half of the seam.
bool built_with_cuda();
/// CUDA devices that it can use: 0 in a build without CUDA, and where there is no device or no driver.
int cuda_devices();
/// Throws Error(memory) that says why, if tensors cannot lie on `device`.
void require_device(Device device);

namespace cuda {
struct FoundDevices {
  int count = 0;
  std::string trouble = {};  // what the runtime says where it could not look for any
};
const FoundDevices& found_devices();
/// Returns when everything that was started on the device is done; Error(memory) if any of it failed.
void synchronize();
}  // namespace cuda

}  // namespace tapestry

/// Calls the half of the seam that the device names: LAUNCH(x.device(), gelu_forward(x, y, n)) runs
/// cpu::gelu_forward or cuda::gelu_forward, which have one signature. A half that does not exist is a link
/// error in a CUDA build.
#ifdef TAPESTRY_CUDA
#define LAUNCH(device, ...)          \
  do {                               \
    if ((device).is_cuda()) {        \
      ::tapestry::cuda::__VA_ARGS__; \
    } else {                         \
      ::tapestry::cpu::__VA_ARGS__;  \
    }                                \
  } while (false)
#else
#define LAUNCH(device, ...)                                  \
  do {                                                       \
    if ((device).is_cuda()) ::tapestry::fail_without_cuda(); \
    ::tapestry::cpu::__VA_ARGS__;                            \
  } while (false)
#endif
