#pragma once

#include <cstdint>

#include "autograd/device.h"

namespace tapestry {

/// What the caching pool of a device holds, in bytes.
struct PoolStats {
  int64_t in_use = 0;        // handed out now
  int64_t peak = 0;          // most ever handed out since the last reset
  int64_t reserved = 0;      // taken from the system: in use and cached
  int64_t system_calls = 0;  // how often the system was asked for memory
};

/// Memory of at least `bytes` bytes, aligned for the widest vector instructions, from blocks that were
/// released before where one of the right size is cached. Throws Error(memory) when the system has none.
void* pool_allocate(Device device, int64_t bytes);
void pool_release(Device device, void* memory, int64_t bytes);

PoolStats pool_stats(Device device);
void pool_reset_peak(Device device);
/// Gives all cached blocks back to the system.
void pool_trim(Device device);

/// Tests: fill every block with NaN before it is handed out, and put a guard behind it whose change is
/// reported as an error when the block comes back.
void pool_set_poison(bool on);

}  // namespace tapestry
