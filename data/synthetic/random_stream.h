#pragma once

#include <cstdint>
#include <vector>

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
  /// `count` tokens, first <= each < end.
  std::vector<int32_t> tokens(int64_t count, int64_t first, int64_t end) {
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = static_cast<int32_t>(first + below(end - first));
    return tokens;
  }

 private:
  uint64_t key_, next_ = 0;
};

}  // namespace tapestry
