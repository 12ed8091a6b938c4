#pragma once

#include <cstdint>

#include "base/error.h"

namespace tapestry {

/// float64 is for tests and references; int32 holds tokens and indices.
enum class DType { float32, float64, int32 };

inline int64_t size_of(DType dtype) { return dtype == DType::float64 ? 8 : 4; }

inline const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    default:
      return "int32";
  }
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::float32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::float64;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::int32;
}

/// Calls `f(T{})` with T the floating type of `dtype`: for_float(x.dtype(), [&]<class T>(T) { ... }).
template <class F>
void for_float(DType dtype, const F& f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    default:
      fail(Exit::usage, "expected a floating tensor, got ", name_of(dtype));
  }
}

}  // namespace tapestry
