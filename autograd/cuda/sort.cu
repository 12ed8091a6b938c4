#include "autograd/cuda/sort.h"

#include <bit>
#include <cub/device/device_radix_sort.cuh>
#include <limits>

#include "autograd/cuda/kernel.cuh"

namespace tapestry::cuda {
namespace {

/// The first place in sorted keys [count] whose key is not below `key`.
__device__ int64_t lower_bound(const int32_t* keys, int64_t count, int64_t key) {
  int64_t begin = 0, end = count;
  while (begin < end) {
    const int64_t middle = (begin + end) / 2;
    if (keys[middle] < key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace

void sort_places(const int32_t* keys, int64_t count, int64_t bins, int32_t* order, int32_t* start) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  check(count <= most && bins <= most, Exit::memory, "CUDA: ", count, " keys of ", bins,
        " values are too many to sort");
  DeviceArray<int32_t> places_array(count), sorted_array(count);
  int32_t *places = places_array.data(), *sorted = sorted_array.data();
  for_each_index("places", count, [=] __device__(int64_t i) { places[i] = static_cast<int32_t>(i); });
  const int bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(bins - 1))));
  const int n = static_cast<int>(count);
  size_t bytes = 0;
  check_cuda(
      cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, sorted, places, order, n, 0, bits, stream()),
      "sort");
  DeviceArray<char> scratch(static_cast<int64_t>(bytes));
  check_cuda(cub::DeviceRadixSort::SortPairs(scratch.data(), bytes, keys, sorted, places, order, n, 0, bits,
                                             stream()),
             "sort");
  check_launch("sort");
  for_each_index("sort starts", bins + 1, [=] __device__(int64_t key) {
    start[key] = static_cast<int32_t>(lower_bound(sorted, count, key));
  });
}

}  // namespace tapestry::cuda
