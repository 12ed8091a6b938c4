#include "layers/positions.h"

#include <cmath>
#include <vector>

namespace tapestry {

Tensor sinusoidal_positions(int64_t first, int64_t tokens, int64_t width, DType dtype, Device device) {
  std::vector<double> values(tokens * width);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const int64_t even = i - i % 2;  // of a sine and its cosine
      const double angle =
          static_cast<double>(first + t) / std::pow(10000.0, static_cast<double>(even) / width);
      values[t * width + i] = i % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  return Tensor::from(values, {tokens, width}).to(dtype).to(device);
}

}  // namespace tapestry
