#pragma once

#include <bit>
#include <cstdint>

#include "autograd/host_device.h"

namespace tapestry {

/// The upper half of a float32: its range, and eight bits of its mantissa.
struct BFloat16 {
  uint16_t bits;

  /// The bits of the nearest one, ties to even; a NaN stays one. A loop that assigns them to `bits` is
  /// vectorised, one that assigns whole numbers is not.
  TAPESTRY_HD static uint16_t nearest(float x) {
    const uint32_t all = std::bit_cast<uint32_t>(x);
    const uint32_t rounded = (all + 0x7FFF + (all >> 16 & 1)) >> 16, quiet = all >> 16 | 0x40;
    return static_cast<uint16_t>((all & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
  }
  TAPESTRY_HD explicit operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

}  // namespace tapestry
