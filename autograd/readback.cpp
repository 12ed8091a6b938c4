#include "autograd/readback.h"

#include <cstring>

namespace tapestry {

Readback::Readback(Tensor tensor) : tensor_(std::move(tensor)) {
  LAUNCH(tensor_.device(), mark_moment(moment_));
}

std::vector<double> Readback::values() const {
  Tensor here = Tensor::empty(tensor_.shape(), tensor_.dtype());
  const Device device = tensor_.device();
  LAUNCH(device, copy_at_moment(moment_.get(), here.storage()->mutable_data(), tensor_.storage()->data(),
                                tensor_.bytes()));
  return here.values<double>();
}

namespace cpu {

void mark_moment(std::shared_ptr<void>&) {}

void copy_at_moment(void*, void* to, const void* from, int64_t bytes) { std::memcpy(to, from, bytes); }

}  // namespace cpu
}  // namespace tapestry
