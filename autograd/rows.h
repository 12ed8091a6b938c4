#pragma once

#include <algorithm>
#include <cstdint>

#include "autograd/storage.h"
#include "base/parallel.h"

namespace tapestry::cpu {

/// Loops over [rows, n] matrices that the kernels of several ops share.
constexpr int64_t kPieceSize = 1 << 14;

/// Calls `work(row, begin, end)` for stretches of columns that cover every row once.
template <class Work>
void for_row_pieces(int64_t rows, int64_t n, const Work& work) {
  if (n == 0) return;
  const int64_t per_row = ceil_div(n, kPieceSize);
  parallel_for(rows * per_row, std::max<int64_t>(1, kPieceSize / n), [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t column = piece % per_row * kPieceSize;
      work(piece / per_row, column, std::min(n, column + kPieceSize));
    }
  });
}

/// to[i] (+)= at(i) for i in [begin, end)
template <class T, class At>
void write(T* to, int64_t begin, int64_t end, bool accumulate, const At& at) {
  if (accumulate) {  // NOLINT(bugprone-branch-clone): it does not look behind the pragmas
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) to[i] += at(i);
  } else {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) to[i] = at(i);
  }
}

/// Reads an array, as the `at` of sum_rows.
template <class T>
struct ElementOf {
  const T* data;
  T operator()(int64_t i) const { return data[i]; }
};

/// out[i] (+)= sum over rows of at(row * n + i): the gradient of what was broadcast over the rows. Each block
/// of rows adds up by itself and then the blocks in order, so the number of threads does not show.
template <class T, class At>
void sum_rows(int64_t rows, int64_t n, T* out, bool accumulate, const At& at) {
  constexpr int64_t block_rows = 64, block_columns = 1024;
  const int64_t row_blocks = std::max<int64_t>(1, ceil_div(rows, block_rows));
  const int64_t column_blocks = ceil_div(n, block_columns);
  const bool direct = row_blocks == 1;
  Storage scratch(Device::cpu(), direct ? 0 : row_blocks * n * sizeof(T));
  T* partial = static_cast<T*>(scratch.mutable_data());
  parallel_for(row_blocks * column_blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t job = first; job < last; ++job) {
      const int64_t block = job / column_blocks, column = job % column_blocks * block_columns;
      const int64_t end = std::min(n, column + block_columns);
      T* to = direct ? out : partial + block * n;
      if (!direct || !accumulate) std::fill(to + column, to + end, T(0));
      for (int64_t row = block * block_rows; row < std::min(rows, (block + 1) * block_rows); ++row) {
#pragma omp simd
        for (int64_t i = column; i < end; ++i) to[i] += at(row * n + i);
      }
    }
  });
  if (!direct) sum_rows(row_blocks, n, out, accumulate, ElementOf<T>{partial});
}

}  // namespace tapestry::cpu
