#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Sinusoidal positions first .. first + tokens - 1, [tokens, width] (Vaswani et al. 2017, section 3.5):
/// sin(t / 10000^(2i/C)) in channel 2i, the cosine in 2i + 1.
Tensor sinusoidal_positions(int64_t first, int64_t tokens, int64_t width, DType dtype, Device device);

}  // namespace tapestry
