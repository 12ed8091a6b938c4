#include "data/permutation.h"

#include "autograd/random.h"
#include "base/error.h"

namespace tapestry {

Permutation::Permutation(int64_t size, uint64_t key) : size_(size), key_(key) {
  require(size > 0, "a permutation of ", size, " values");
  while (half_bits_ < 31 && (int64_t{1} << (2 * half_bits_)) < size) ++half_bits_;
}

uint64_t Permutation::scramble(uint64_t value) const {
  constexpr uint64_t rounds = 6;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_, right = value & mask;
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t mixed = left ^ (random_bits(combine_keys(key_, round), right) & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

int64_t Permutation::operator[](int64_t i) const {
  require(i >= 0 && i < size_, "place ", i, " of a permutation of ", size_);
  auto value = static_cast<uint64_t>(i);
  do {
    value = scramble(value);
  } while (value >= static_cast<uint64_t>(size_));
  return static_cast<int64_t>(value);
}

}  // namespace tapestry
