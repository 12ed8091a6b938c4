#pragma once

#include <cstdint>

#include "autograd/random.h"

namespace tapestry {

/// The random numbers of a key, one after the other.
class RandomStream {
 public:
  explicit RandomStream(uint64_t key) : key_(key) {}
  /// 0 <= result < end.
  int64_t below(int64_t end) {
    return static_cast<int64_t>(random_bits(key_, next_++) % static_cast<uint64_t>(end));
  }
  /// first <= result <= last.
  int64_t between(int64_t first, int64_t last) { return first + below(last - first + 1); }

 private:
  uint64_t key_, next_ = 0;
};

}  // namespace tapestry
