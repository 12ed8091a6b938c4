#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>

#include "base/error.h"

namespace tapestry {

/// Up to five axis lengths, trivially copyable so that a backward step may capture it.
class Shape {
 public:
  static constexpr int max_rank = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    require(sizes.size() <= max_rank, "a tensor has at most ", max_rank, " axes");
    for (int64_t size : sizes) sizes_[rank_++] = size;
  }
  int rank() const { return rank_; }
  /// Length of axis `axis`; negative axes count from the end.
  int64_t operator[](int axis) const { return sizes_[axis < 0 ? axis + rank_ : axis]; }
  /// Number of elements; 1 for a scalar.
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= sizes_[i];
    return n;
  }
  /// Number of rows when the last axis is a row.
  int64_t rows() const { return (*this)[-1] == 0 ? 0 : size() / (*this)[-1]; }
  /// The same axes with the last one of length `n`.
  Shape with_last(int64_t n) const {
    Shape shape = *this;
    shape.sizes_[rank_ - 1] = n;
    return shape;
  }
  /// The same axes and one more of length `n`.
  Shape append(int64_t n) const {
    require(rank_ < max_rank, "a tensor has at most ", max_rank, " axes");
    Shape shape = *this;
    shape.sizes_[shape.rank_++] = n;
    return shape;
  }
  /// Whether `suffix` is equal to this shape's last axes.
  bool ends_with(const Shape& suffix) const {
    if (suffix.rank_ > rank_) return false;
    for (int i = 1; i <= suffix.rank_; ++i) {
      if (suffix[-i] != (*this)[-i]) return false;
    }
    return true;
  }
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

}  // namespace tapestry
