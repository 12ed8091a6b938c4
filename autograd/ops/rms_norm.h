#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Root-mean-square norm of pieces of n numbers, y = z g / sqrt(mean(z^2) + eps) (ATTENTION section 0.2):
/// x [..., G n], gain [n] for all pieces or [G, n] for the G pieces of a row -> the shape of x. Saves x, the
/// gain and two numbers a piece. Its kernels are those of layer_norm.h.
Tensor rms_norm(const Tensor& x, const Tensor& gain, double eps);

}  // namespace tapestry
