#pragma once

#include <cstddef>

namespace cuda_on_host {

/// What stands for device memory: host memory that may be touched only while an Open is alive, as kernels and
/// copies hold one. Any other access from the host ends the program, as it would with a device.
class DeviceMemory {
 public:
  static void* allocate(size_t bytes);  // null when there is none
  static bool release(void* memory);

  class Open {
   public:
    Open();
    ~Open();
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
  };
};

}  // namespace cuda_on_host
