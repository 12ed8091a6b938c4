#pragma once

#include <vector>

#include "autograd/gemm.h"
#include "autograd/tensor.h"

namespace tapestry {

/// Matrix products alone, as cpu::gemm runs them, on operands of their own: their time is the least that work
/// built on them can take.
class GemmFloor {
 public:
  explicit GemmFloor(std::vector<Gemm> products);

  /// Runs each product once.
  void run();
  double flops() const;

 private:
  std::vector<Gemm> products_;
  Tensor a_, b_, c_;  // of the size of the largest operands
};

}  // namespace tapestry
