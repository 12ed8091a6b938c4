#include "autograd/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/parallel.h"

namespace tapestry {

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  const Device device = to_device.is_cuda() ? to_device : from_device;
  LAUNCH(device, copy_bytes(to, to_device.is_cuda(), from, from_device.is_cuda(), bytes));
}

void synchronize(Device device) { LAUNCH(device, synchronize()); }

namespace cpu {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kAdditionGrain = 1 << 15;

}  // namespace

void system_allocate(int64_t bytes, void** memory) {
  const bool huge = bytes >= kHugePage;
  if (posix_memalign(memory, huge ? kHugePage : kAlignment, bytes) != 0) *memory = nullptr;
  if (huge && *memory != nullptr) madvise(*memory, bytes, MADV_HUGEPAGE);
}

void system_release(void* memory) { std::free(memory); }

void copy_bytes(void* to, bool, const void* from, bool, int64_t bytes) { std::memcpy(to, from, bytes); }

void set_bytes(void* memory, int value, int64_t bytes) { std::memset(memory, value, bytes); }

template <class T>
void fill(T* x, T value, int64_t n) {
  std::fill_n(x, n, value);
}

template <class T>
void add_to(T* to, const T* from, int64_t n) {
  parallel_for(n, kAdditionGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

template void fill(float*, float, int64_t);
template void fill(double*, double, int64_t);
template void fill(int32_t*, int32_t, int64_t);
template void add_to(float*, const float*, int64_t);
template void add_to(double*, const double*, int64_t);

}  // namespace cpu
}  // namespace tapestry
