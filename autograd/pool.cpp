#include "autograd/pool.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "autograd/memory.h"

namespace tapestry {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kGuard = 64;
constexpr unsigned char kGuardByte = 0xA5;

/// Sizes are rounded up to one of eight steps per power of two, so that at most an eighth is wasted and a
/// later tensor of about the same size finds the block again.
int64_t size_class(int64_t bytes) {
  bytes = std::max<int64_t>(bytes, kAlignment);
  const int64_t step =
      std::max<int64_t>(kAlignment, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8);
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  explicit Pool(Device device) : device_(device) {}

  void* allocate(int64_t bytes) {
    const int64_t size = size_class(bytes + (poison_ ? kGuard : 0));
    std::lock_guard lock(mutex_);
    void* memory = take(size);
    stats_.in_use += size;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    if (poison_) poison(memory, bytes, size);
    return memory;
  }

  void release(void* memory, int64_t bytes) {
    std::lock_guard lock(mutex_);
    const auto it = sizes_.find(memory);
    if (poison_) check_guard(memory, bytes, it->second);
    stats_.in_use -= it->second;
    free_[it->second].push_back(memory);
  }

  PoolStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak = stats_.in_use;
  }
  void trim() {
    std::lock_guard lock(mutex_);
    trim_locked();
  }
  void set_poison(bool on) {
    std::lock_guard lock(mutex_);
    poison_ = on;
  }

 private:
  void* take(int64_t size) {
    if (auto& cached = free_[size]; !cached.empty()) {
      void* memory = cached.back();
      cached.pop_back();
      return memory;
    }
    void* memory = from_system(size);
    if (memory == nullptr) {
      trim_locked();
      memory = from_system(size);
    }
    check(memory != nullptr, Exit::memory, "out of memory: no ", size, " bytes to be had, ", stats_.in_use,
          " bytes in use; lower the batch size or the sequence length, or use train.recompute = block");
    sizes_[memory] = size;
    stats_.reserved += size;
    ++stats_.system_calls;
    return memory;
  }

  void* from_system(int64_t size) {
    void* memory = nullptr;
    LAUNCH(device_, system_allocate(size, &memory));
    return memory;
  }

  void trim_locked() {
    for (auto& [size, blocks] : free_) {
      for (void* memory : blocks) {
        sizes_.erase(memory);
        stats_.reserved -= size;
        LAUNCH(device_, system_release(memory));
      }
      blocks.clear();
    }
  }

  void poison(void* memory, int64_t bytes, int64_t size) {
    // All ones is a NaN in float32 and float64, and -1 in int32.
    LAUNCH(device_, set_bytes(memory, 0xFF, bytes));
    LAUNCH(device_, set_bytes(static_cast<char*>(memory) + bytes, kGuardByte, size - bytes));
  }

  void check_guard(const void* memory, int64_t bytes, int64_t size) {
    std::vector<unsigned char> guard(size - bytes);
    copy_bytes(Device::cpu(), guard.data(), device_, static_cast<const char*>(memory) + bytes, size - bytes);
    for (int64_t i = 0; i < size - bytes; ++i) {
      if (guard[i] == kGuardByte) continue;
      std::fprintf(stderr, "a kernel wrote %lld bytes behind a tensor of %lld bytes\n",
                   static_cast<long long>(i + 1), static_cast<long long>(bytes));
      std::abort();
    }
  }

  Device device_;
  std::mutex mutex_;
  std::map<int64_t, std::vector<void*>> free_;
  std::map<void*, int64_t> sizes_;
  PoolStats stats_;
  bool poison_ = false;
};

/// Never destroyed: static tensors may outlive any order of destructors.
Pool& cpu_pool() {
  static Pool* pool = new Pool(Device::cpu());
  return *pool;
}
Pool& cuda_pool() {
  static Pool* pool = new Pool(Device::cuda());
  return *pool;
}

Pool& pool_of(Device device) {
  if (!device.is_cuda()) return cpu_pool();
  require_device(device);
  return cuda_pool();
}

}  // namespace

void* pool_allocate(Device device, int64_t bytes) { return pool_of(device).allocate(bytes); }
void pool_release(Device device, void* memory, int64_t bytes) { pool_of(device).release(memory, bytes); }
PoolStats pool_stats(Device device) { return pool_of(device).stats(); }
void pool_reset_peak(Device device) { pool_of(device).reset_peak(); }
void pool_trim(Device device) { pool_of(device).trim(); }
void pool_set_poison(bool on) {
  for (Pool* pool : {&cpu_pool(), &cuda_pool()}) {
    pool->trim();
    pool->set_poison(on);
  }
}

}  // namespace tapestry
