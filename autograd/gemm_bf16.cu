#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"

namespace tapestry::cuda {
namespace {

/// What a thread loads and stores at once.
struct alignas(16) FourFloats {
  float at[4];
};
struct alignas(16) EightRounded {
  BFloat16 at[8];
};

}  // namespace

void round_matrix(const float* x, int64_t rows, int64_t n, int64_t ld, BFloat16* to) {
  if (n % 8 == 0 && ld % 4 == 0 && is_aligned(x, alignof(FourFloats)) &&
      is_aligned(to, alignof(EightRounded))) {
    for_each_index("round_matrix", rows * n / 8, [=] __device__(int64_t i) {
      const int64_t row = 8 * i / n, column = 8 * i % n;
      const auto* from = reinterpret_cast<const FourFloats*>(x + row * ld + column);
      const FourFloats low = from[0], high = from[1];
      EightRounded rounded;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        rounded.at[j].bits = BFloat16::nearest(low.at[j]);
        rounded.at[j + 4].bits = BFloat16::nearest(high.at[j]);
      }
      reinterpret_cast<EightRounded*>(to)[i] = rounded;
    });
  } else {
    for_each_index("round_matrix", rows * n,
                   [=] __device__(int64_t i) { to[i].bits = BFloat16::nearest(x[i / n * ld + i % n]); });
  }
}

}  // namespace tapestry::cuda
