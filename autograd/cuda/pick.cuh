#pragma once

#include <cstdint>

#include "autograd/cuda/kernel.cuh"

namespace tapestry::cuda {

/// A set of numbers below n, in shared memory of set_bytes(n) bytes.
inline int64_t set_bytes_of(int64_t n) { return ceil_div(n, 32) * static_cast<int64_t>(sizeof(uint32_t)); }
__device__ inline bool contains(const uint32_t* set, int64_t i) { return set[i / 32] >> (i % 32) & 1; }

/// Puts into `set` the `count` numbers in [begin, end) of largest key(i), ties going to the later one, and
/// nothing else below n; all of them if there are not more. All threads of the block call it.
template <class Key>
__device__ void pick_largest(int64_t n, int64_t begin, int64_t end, int64_t count, const Key& key,
                             uint32_t* set) {
  using T = decltype(key(begin));
  const bool all = count >= end - begin;
  block_for(ceil_div(n, 32), [=](int64_t word) {
    uint32_t bits = 0;
    for (int64_t i = word * 32; all && i < word * 32 + 32; ++i) {
      if (i >= begin && i < end) bits |= 1u << (i % 32);
    }
    set[word] = bits;
  });
  __syncthreads();
  // Each thread knows the best of its own numbers that is left; only who lost it looks again.
  T best = 0;
  int64_t best_at = -1;
  bool lost = true;
  for (int64_t round = 0; !all && round < count; ++round) {
    if (lost) {
      best = -std::numeric_limits<T>::infinity();
      best_at = -1;
      for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
        if (contains(set, i)) continue;
        const T value = key(i);
        if (value >= best) {
          best = value;
          best_at = i;
        }
      }
    }
    const T largest = block_reduce(best, Max{});
    const int64_t chosen = block_reduce(best == largest ? best_at : int64_t{-1}, Max{});
    lost = chosen == best_at;
    __syncthreads();
    if (chosen >= 0 && threadIdx.x == 0) set[chosen / 32] |= 1u << (chosen % 32);
    __syncthreads();
  }
}

/// Calls f(rank, i) for each number i of a set, `rank` counting them from 0 in order, in some thread of the
/// block.
template <class F>
__device__ void for_each_member(int64_t n, const uint32_t* set, const F& f) {
  block_for(ceil_div(n, 32), [=](int64_t word) {
    uint32_t bits = set[word];
    int64_t rank = 0;
    for (int64_t before = 0; bits != 0 && before < word; ++before) rank += __popc(set[before]);
    for (; bits != 0; bits &= bits - 1) f(rank++, word * 32 + __ffs(static_cast<int>(bits)) - 1);
  });
}

}  // namespace tapestry::cuda
