#pragma once

#include <memory>
#include <vector>

#include "autograd/tensor.h"

namespace tapestry {

/// What a tensor holds once all is done that was started on its device before: the host may start more
/// meanwhile, and does not wait for that when it asks for the values. Until then nobody may change them.
class Readback {
 public:
  explicit Readback(Tensor tensor);
  const Tensor& tensor() const { return tensor_; }
  std::vector<double> values() const;

 private:
  Tensor tensor_;
  std::shared_ptr<void> moment_;
};

/// A moment in the order of what runs on a device, and a copy to the host that waits for nothing later.
namespace cpu {
void mark_moment(std::shared_ptr<void>& moment);
void copy_at_moment(void* moment, void* to, const void* from, int64_t bytes);
}  // namespace cpu
namespace cuda {
void mark_moment(std::shared_ptr<void>& moment);
void copy_at_moment(void* moment, void* to, const void* from, int64_t bytes);
}  // namespace cuda

}  // namespace tapestry
