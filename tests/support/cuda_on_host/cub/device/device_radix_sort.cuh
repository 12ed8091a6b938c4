#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include <cuda_runtime.h>

#include "tests/support/cuda_on_host/device_memory.h"

/// Stands in for CUB's stable sort of pairs.
namespace cub {

struct DeviceRadixSort {
  template <class Key, class Value>
  static cudaError_t SortPairs(void* scratch, size_t& scratch_bytes, const Key* keys, Key* keys_out,
                               const Value* values, Value* values_out, int count, int first_bit, int end_bit,
                               cudaStream_t) {
    if (scratch == nullptr) {
      scratch_bytes = 1;
      return cudaSuccess;
    }
    const cuda_on_host::DeviceMemory::Open open;
    std::vector<int> order(count);
    std::iota(order.begin(), order.end(), 0);
    const auto bits = [&](int i) {
      return static_cast<uint64_t>(keys[i]) >> first_bit & ((uint64_t{1} << (end_bit - first_bit)) - 1);
    };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bits(a) < bits(b); });
    for (int i = 0; i < count; ++i) {
      keys_out[i] = keys[order[i]];
      values_out[i] = values[order[i]];
    }
    return cudaSuccess;
  }
};

}  // namespace cub
