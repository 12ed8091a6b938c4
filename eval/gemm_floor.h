#pragma once

#include <vector>

#include "autograd/gemm.h"
#include "autograd/tensor.h"

namespace tapestry {

/// The least time that matrix products take: the products alone, as cpu::gemm runs them, on operands of their
/// own.
class GemmFloor {
 public:
  explicit GemmFloor(std::vector<Gemm> products);

  /// Runs each product once; returns the seconds that took.
  double run();
  double flops() const;

 private:
  std::vector<Gemm> products_;
  Tensor a_, b_, c_;  // of the size of the largest operands
};

}  // namespace tapestry
