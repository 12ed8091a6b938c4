#pragma once

#include <type_traits>

#include "autograd/cuda/kernel.cuh"
#include "autograd/gemm.h"

/// Operands that several products share are rounded once, where products are in bfloat16.
namespace tapestry::cuda {

/// Calls f(In{}) with In the type of such operands of products of T.
template <class T, class F>
void for_operand_type(const F& f) {
  if constexpr (std::is_same_v<T, float>) {
    if (product_precision() == Precision::bf16) return f(BFloat16{});
  }
  f(T{});
}

/// Numbers that are there already: themselves, or a rounded copy.
template <class In, class T>
class Operand {
 public:
  Operand(const T* x, int64_t size) : memory_(size) { round_matrix(x, 1, size, size, memory_.data()); }
  const In* data() { return memory_.data(); }

 private:
  DeviceArray<In> memory_;
};
template <class T>
class Operand<T, T> {
 public:
  Operand(const T* x, int64_t) : data_(x) {}
  const T* data() const { return data_; }

 private:
  const T* data_;
};

/// Where a kernel puts the operands that it makes of numbers: in their place, or rounded beside them.
template <class In, class T>
class MadeOperand {
 public:
  MadeOperand(T*, int64_t size) : memory_(size) {}
  In* data() { return memory_.data(); }

 private:
  DeviceArray<In> memory_;
};
template <class T>
class MadeOperand<T, T> {
 public:
  MadeOperand(T* x, int64_t) : data_(x) {}
  T* data() const { return data_; }

 private:
  T* data_;
};

template <class T>
__device__ void store(T& to, T value) {
  to = value;
}
__device__ inline void store(BFloat16& to, float value) { to.bits = BFloat16::nearest(value); }

}  // namespace tapestry::cuda
