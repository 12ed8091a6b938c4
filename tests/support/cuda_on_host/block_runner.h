#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

/// Runs the threads of a CUDA kernel on the host, one after the other as fibers that give way where they wait
/// for each other. Between two such points the threads of a block run in random order, and so do the blocks,
/// shared memory starts as NaN, and what real hardware leaves undefined is an error: so a missing barrier
/// shows.
namespace cuda_on_host {

struct Extent {
  unsigned x = 1, y = 1, z = 1;
  Extent(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

/// Of the thread that runs.
struct Indices {
  Extent thread, block, block_size, grid_size;
};
extern Indices indices;

/// Calls `thread` for every thread of every block, for one-dimensional grids. Throws
/// std::runtime_error that names the kernel where threads wait for each other in vain.
void run_kernel(const char* name, Extent grid, Extent block, int64_t shared_bytes,
                const std::function<void()>& thread);

/// Returns when all threads of the block that have not ended have called it.
void wait_for_block();
/// Returns when the lanes of `mask`, all of which must be there, have called it.
void wait_for_warp(unsigned mask);
int lane();

/// The value that `from_lane` brings; all lanes of `mask` must call it together.
void exchange_bytes(unsigned mask, const void* value, void* result, size_t bytes, int from_lane);
template <class T>
T exchange(unsigned mask, T value, int from_lane) {
  T result;
  exchange_bytes(mask, &value, &result, sizeof(T), from_lane);
  return result;
}
unsigned ballot(unsigned mask, bool predicate);

/// A piece of shared memory at one place of the source, fresh for every block.
class SharedArray {
 public:
  explicit SharedArray(size_t bytes) : bytes_(bytes), memory_(::operator new(bytes)) {}
  void* of_this_block();

 private:
  size_t bytes_;
  void* memory_;
  uint64_t block_ = 0;
};
/// The shared memory whose size the launch gave.
void* dynamic_shared();

}  // namespace cuda_on_host
