#include "optim/clip.h"

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
  std::vector<double> of_pieces(pieces.size());
  copy_from_device(of_pieces.data(), partial, n * static_cast<int64_t>(sizeof(double)));
  std::fill_n(sums, count, 0.0);
  for (size_t i = 0; i < pieces.size(); ++i) sums[pieces[i].block] += of_pieces[i];
}

#define INSTANTIATE(T) template void sums_of_squares(const GradientBlock<T>*, size_t, double*);
FOR_FLOATS(INSTANTIATE)

}  // namespace tapestry::cuda
