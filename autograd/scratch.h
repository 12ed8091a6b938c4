#pragma once

#include <cstdint>

#include "autograd/tensor.h"
#include "base/parallel.h"

namespace tapestry::cpu {

/// A buffer of `size` numbers for every thread, allocated once a call.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t size)
      : size_(ceil_div(size, 16) * 16),
        buffer_(Tensor::empty({omp_get_max_threads(), size_}, dtype_of<T>())),
        data_(buffer_.mutable_data<T>()) {}
  T* mine() const { return data_ + omp_get_thread_num() * size_; }

 private:
  int64_t size_;
  Tensor buffer_;
  T* data_;
};

}  // namespace tapestry::cpu
