#pragma once

#include "autograd/device.h"
#include "autograd/gemm.h"

namespace tapestry {

/// A product of operands that lie on `device`.
void gemm_on(Device device, const Gemm& gemm, const float* a, const float* b, float* c);

}  // namespace tapestry
