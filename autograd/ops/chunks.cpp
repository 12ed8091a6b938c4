#include "autograd/ops/chunks.h"

#include <algorithm>

#include "base/parallel.h"

namespace tapestry::cpu {

template <class T>
void zero_rows(T* x, int64_t matrices, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  parallel_for(matrices * count, 64, [=](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      T* row = x + (i / count * rows + begin + i % count) * width;
      std::fill(row, row + width, T(0));
    }
  });
}

template void zero_rows(float*, int64_t, int64_t, int64_t, int64_t, int64_t);
template void zero_rows(double*, int64_t, int64_t, int64_t, int64_t, int64_t);

}  // namespace tapestry::cpu
