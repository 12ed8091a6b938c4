#pragma once

#include <cstdint>

#include "autograd/device.h"

namespace tapestry {

/// Copies between and within devices. `from` may be changed when it returns; `to` on the CPU is complete
/// then, `to` on a CUDA device when what is launched next runs.
void copy_bytes(Device to_device, void* to, Device from_device, const void* from, int64_t bytes);

/// Returns when everything that was started on the device is done.
void synchronize(Device device);

/// What the pool and Tensor need of a device. The flags of copy_bytes say which side lies on it.
namespace cpu {
inline void synchronize() {}
void copy_bytes(void* to, bool to_device, const void* from, bool from_device, int64_t bytes);
/// Memory from the system; null when it has none.
void system_allocate(int64_t bytes, void** memory);
void system_release(void* memory);
void set_bytes(void* memory, int value, int64_t bytes);
template <class T>
void fill(T* x, T value, int64_t n);
/// to += from
template <class T>
void add_to(T* to, const T* from, int64_t n);
}  // namespace cpu
namespace cuda {
void copy_bytes(void* to, bool to_device, const void* from, bool from_device, int64_t bytes);
void system_allocate(int64_t bytes, void** memory);
void system_release(void* memory);
void set_bytes(void* memory, int value, int64_t bytes);
template <class T>
void fill(T* x, T value, int64_t n);
template <class T>
void add_to(T* to, const T* from, int64_t n);

/// The directions of copy_bytes. To the device they pass through pinned memory, and the host does not wait.
void copy_to_device(void* to, const void* from, int64_t bytes);
void copy_from_device(void* to, const void* from, int64_t bytes);
void copy_on_device(void* to, const void* from, int64_t bytes);
}  // namespace cuda

}  // namespace tapestry
