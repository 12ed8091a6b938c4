#pragma once

#include <cstdint>

namespace tapestry {

/// A random order of 0..size-1 that is a pure function of (size, key), so that nothing is stored: a Feistel
/// network over the next power of four, walked until the value is inside (Black and Rogaway 2002).
class Permutation {
 public:
  Permutation(int64_t size, uint64_t key);
  int64_t size() const { return size_; }
  /// The value at place `i`, 0 <= i < size.
  int64_t operator[](int64_t i) const;

 private:
  uint64_t scramble(uint64_t value) const;

  int64_t size_;
  uint64_t key_;
  int half_bits_ = 1;
};

}  // namespace tapestry
