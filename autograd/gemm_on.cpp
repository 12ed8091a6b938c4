#include "autograd/gemm_on.h"

namespace tapestry {

void gemm_on(Device device, const Gemm& product, const float* a, const float* b, float* c) {
  LAUNCH(device, gemm(product, a, b, c));
}

}  // namespace tapestry
