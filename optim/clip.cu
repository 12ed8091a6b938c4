#include "optim/clip.h"

#include <numeric>

#include "optim/pieces.cuh"

namespace tapestry::cuda {

template <class T>
void sums_of_squares(const GradientBlock<T>* blocks, size_t count, double* sums) {
  const std::vector<Piece> pieces = split(blocks, count);
  std::vector<GradientBlock<T>> rows;
  for (const Piece& piece : pieces)
    rows.push_back({blocks[piece.block].g + piece.begin, piece.end - piece.begin});
  const auto n = static_cast<int64_t>(rows.size());
  DeviceArray<GradientBlock<T>> rows_array(n);
  DeviceArray<double> partial_array(n);
  GradientBlock<T>* row = rows_array.data();
  double* partial = partial_array.data();
  copy_to_device(row, rows.data(), n * static_cast<int64_t>(sizeof(GradientBlock<T>)));
  for_each_block("sums_of_squares", n, kThreads, 0, [=] __device__(int64_t i) {
    const T* g = row[i].g;
    const double sum = block_sum<double>(row[i].n, [=](int64_t at) { return double(g[at]) * double(g[at]); });
    if (threadIdx.x == 0) partial[i] = sum;
  });
  std::vector<int64_t> first(count + 1);  // piece of each block
  for (const Piece& piece : pieces) ++first[piece.block + 1];
  std::partial_sum(first.begin(), first.end(), first.begin());
  DeviceArray<int64_t> first_array(static_cast<int64_t>(first.size()));
  int64_t* begin = first_array.data();
  copy_to_device(begin, first.data(), static_cast<int64_t>(first.size() * sizeof(int64_t)));
  for_each_index("sums_of_squares", static_cast<int64_t>(count), [=] __device__(int64_t block) {
    double sum = 0;
    for (int64_t i = begin[block]; i < begin[block + 1]; ++i) sum += partial[i];
    sums[block] = sum;
  });
}

void clip_scale(const double* squares, int64_t count, double max_norm, double* scale) {
  for_each_index("clip_scale", 1,
                 [=] __device__(int64_t) { *scale = ClippedScale(squares, count, max_norm).scale; });
}

template <class T>
void require_finite(const T* condition, double* scale) {
  for_each_index("require_finite", 1, [=] __device__(int64_t) {
    const double off = *condition - *condition;  // NaN unless it is finite
    if (off != 0) *scale = off;
  });
}

#define INSTANTIATE(T)                                                     \
  template void sums_of_squares(const GradientBlock<T>*, size_t, double*); \
  template void require_finite(const T*, double*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
