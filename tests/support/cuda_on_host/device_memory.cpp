#include "tests/support/cuda_on_host/device_memory.h"

#include <sys/mman.h>

#include <map>
#include <stdexcept>

namespace cuda_on_host {
namespace {

constexpr size_t kRoom = size_t{4} << 30;  // of addresses; pages are taken where they are used
constexpr size_t kAlignment = 256;

struct Arena {
  char* begin =
      static_cast<char*>(mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  size_t used = 0;                    // no block was ever behind this
  std::map<void*, size_t> blocks;     // handed out
  std::multimap<size_t, void*> free;  // given back, by size
  int opened = 0;

  void protect(int access) {
    constexpr size_t page = 4096;
    if (used > 0 && mprotect(begin, (used + page - 1) / page * page, access) != 0)
      throw std::runtime_error("device memory on the host cannot be protected");
  }
};

Arena& arena() {
  static auto* arena = new Arena;
  return *arena;
}

}  // namespace

void* DeviceMemory::allocate(size_t bytes) {
  Arena& a = arena();
  const size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = nullptr;
  if (const auto cached = a.free.find(size); cached != a.free.end()) {
    memory = cached->second;
    a.free.erase(cached);
  } else if (a.begin != MAP_FAILED && size <= kRoom - a.used) {
    memory = a.begin + a.used;
    a.used += size;
  } else {
    return nullptr;
  }
  a.blocks[memory] = size;
  return memory;
}

bool DeviceMemory::release(void* memory) {
  Arena& a = arena();
  const auto block = a.blocks.find(memory);
  if (block == a.blocks.end()) return memory == nullptr;
  a.free.emplace(block->second, memory);
  a.blocks.erase(block);
  return true;
}

DeviceMemory::Open::Open() {
  if (arena().opened++ == 0) arena().protect(PROT_READ | PROT_WRITE);
}

DeviceMemory::Open::~Open() {
  if (--arena().opened == 0) arena().protect(PROT_NONE);
}

}  // namespace cuda_on_host
