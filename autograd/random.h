#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "autograd/host_device.h"

namespace tapestry {

/// Counter-based random numbers: every number is a pure function of (key, index), so nothing is stored, the
/// order of evaluation does not matter, and CPU and GPU get the same bits.

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose output bits look independent.
TAPESTRY_HD inline uint64_t mix_bits(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/// A key that depends on both arguments, for streams within streams: (seed, step), then (that, layer), ...
TAPESTRY_HD inline uint64_t combine_keys(uint64_t key, uint64_t stream) {
  return mix_bits(mix_bits(key) ^ stream);
}

TAPESTRY_HD inline uint64_t random_bits(uint64_t key, uint64_t index) {
  return mix_bits(key ^ mix_bits(index));
}

/// Uniform in [0, 1), 24 random bits.
TAPESTRY_HD inline float random_uniform(uint64_t key, uint64_t index) {
  return static_cast<float>(random_bits(key, index) >> 40) * 0x1p-24f;
}

/// Standard normal (Box and Muller).
inline double random_normal(uint64_t key, uint64_t index) {
  const uint64_t bits = random_bits(key, index);
  const double u = (static_cast<double>(bits >> 32) + 0.5) * 0x1p-32;
  const double v = static_cast<double>(bits & 0xFFFFFFFFu) * 0x1p-32;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

}  // namespace tapestry
