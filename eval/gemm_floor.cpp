#include "eval/gemm_floor.h"

#include <algorithm>

#include "eval/step_flops.h"

namespace tapestry {
namespace {

/// Numbers between 1/2 and 3/2: sums neither overflow nor become denormal, which would be slow.
Tensor operand(int64_t size) {
  Tensor tensor = Tensor::empty({size});
  float* data = tensor.mutable_data<float>();
  for (int64_t i = 0; i < size; ++i) data[i] = 0.5f + static_cast<float>(i % 1021) / 1021;
  return tensor;
}

}  // namespace

GemmFloor::GemmFloor(std::vector<Gemm> products) : products_(std::move(products)) {
  int64_t a = 0, b = 0, c = 0;
  for (const Gemm& product : products_) {
    a = std::max(a, product.m * product.k);
    b = std::max(b, product.k * product.n);
    c = std::max(c, product.m * product.n);
  }
  a_ = operand(a);
  b_ = operand(b);
  c_ = operand(c);
}

void GemmFloor::run() {
  for (const Gemm& product : products_) {
    cpu::gemm(product, a_.data<float>(), b_.data<float>(), c_.mutable_data<float>());
  }
}

double GemmFloor::flops() const { return flops_of(products_); }

}  // namespace tapestry
