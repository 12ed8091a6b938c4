#include "eval/gemm_floor.h"

#include <algorithm>

#include "autograd/memory.h"
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

std::unique_ptr<Storage> rounded(const Tensor& x) {
  auto storage = std::make_unique<Storage>(x.device(), x.size() * sizeof(BFloat16));
  LAUNCH(x.device(), round_matrix(x.data<float>(), 1, x.size(), x.size(),
                                  static_cast<BFloat16*>(storage->mutable_data())));
  return storage;
}

}  // namespace

GemmFloor::GemmFloor(std::vector<Gemm> products, Device device) : products_(std::move(products)) {
  int64_t a = 0, b = 0, c = 0;
  for (const Gemm& product : products_) {
    a = std::max(a, product.m * product.k);
    b = std::max(b, product.k * product.n);
    c = std::max(c, product.m * product.n);
  }
  a_ = operand(a).to(device);
  b_ = operand(b).to(device);
  c_ = operand(c).to(device);
  if (product_precision() == Precision::bf16) {
    a16_ = rounded(a_);
    b16_ = rounded(b_);
  }
}

void GemmFloor::run() {
  for (const Gemm& product : products_) {
    float* c = c_.mutable_data<float>();
    if (a16_) {
      LAUNCH(c_.device(), gemm(product, static_cast<const BFloat16*>(a16_->data()),
                               static_cast<const BFloat16*>(b16_->data()), c));
    } else {
      LAUNCH(c_.device(), gemm(product, a_.data<float>(), b_.data<float>(), c));
    }
  }
  synchronize(c_.device());
}

double GemmFloor::flops() const { return flops_of(products_); }

}  // namespace tapestry
