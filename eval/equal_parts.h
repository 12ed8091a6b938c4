#pragma once

#include <cstdint>

namespace tapestry {

/// The numbers 1..length in `count` parts of about equal width; 1 <= count. Parts are empty where there are
/// more of them than numbers.
struct EqualParts {
  int64_t length, count;

  /// The part that holds n.
  int64_t of(int64_t n) const { return (n - 1) * count / length; }
  int64_t first(int64_t part) const { return last(part - 1) + 1; }
  int64_t last(int64_t part) const { return ((part + 1) * length + count - 1) / count; }
};

}  // namespace tapestry
