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
    const int64_t size = sizes_.find(memory)->second;
    if (poison_) check_guard(memory, bytes, size);
    stats_.in_use -= size;
    classes_.find(size)->second.cached.push_back(memory);
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
  /// The blocks of one size. `cached` has room for all of them, so that release(), which destructors call,
  /// needs no memory itself.
  struct SizeClass {
    std::vector<void*> cached;
    size_t count = 0;
  };

  void* take(int64_t size) {
    SizeClass& blocks = classes_[size];
    if (blocks.cached.empty()) return add_block(size, blocks);
    void* memory = blocks.cached.back();
    blocks.cached.pop_back();
    return memory;
  }

  void* add_block(int64_t size, SizeClass& blocks) {
    // What may throw comes before there is a block to lose.
    if (blocks.cached.capacity() == blocks.count) blocks.cached.reserve(2 * blocks.count + 1);
    auto entry = sizes_.extract(sizes_.emplace(nullptr, size).first);
    void* memory = from_system(size);
    if (memory == nullptr) {
      trim_locked();
      memory = from_system(size);
    }
    check(memory != nullptr, Exit::memory, "out of memory: no ", size, " bytes to be had, ", stats_.in_use,
          " bytes in use; lower the batch size or the sequence length, or use train.recompute = block");
    entry.key() = memory;
    sizes_.insert(std::move(entry));
    ++blocks.count;
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
    for (auto& [size, blocks] : classes_) {
      for (void* memory : blocks.cached) {
        sizes_.erase(memory);
        stats_.reserved -= size;
        LAUNCH(device_, system_release(memory));
      }
      blocks.count -= blocks.cached.size();
      blocks.cached.clear();
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
  std::map<int64_t, SizeClass> classes_;
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
