#pragma once

#include <memory>
#include <vector>

#include "autograd/gemm.h"
#include "autograd/tensor.h"

namespace tapestry {

/// Matrix products alone, as the ops run them, on operands of their own that are in the product precision
/// already: their time is the least that work built on them can take.
class GemmFloor {
 public:
  explicit GemmFloor(std::vector<Gemm> products, Device device = Device::cpu());

  /// Runs each product once.
  void run();
  double flops() const;

 private:
  std::vector<Gemm> products_;
  Tensor a_, b_, c_;                    // of the size of the largest operands
  std::unique_ptr<Storage> a16_, b16_;  // the operands in bfloat16, where that is the product precision
};

}  // namespace tapestry
