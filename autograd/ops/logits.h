#pragma once

#include <algorithm>
#include <cstdint>

#include "autograd/tape.h"

namespace tapestry {

/// The backward step of a scalar loss whose forward pass saved the gradients of its inputs, of a loss
/// gradient of 1: scales them by the one that came, and hands them over.
void hand_over_scaled(BackwardStep& step);

namespace cpu {

template <class T>
T row_max(const T* row, int64_t n) {
  T largest = row[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < n; ++i) largest = row[i] > largest ? row[i] : largest;
  return largest;
}

/// Sum of at(i) over [0, n), added up in double over stretches short enough for T. `at` may write.
template <class T, class At>
double sum_of_row(int64_t n, const At& at) {
  constexpr int64_t stretch = 1024;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += stretch) {
    const int64_t end = std::min(n, begin + stretch);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; ++i) sum += at(i);
    total += sum;
  }
  return total;
}

}  // namespace cpu
}  // namespace tapestry
