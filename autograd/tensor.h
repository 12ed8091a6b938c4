#pragma once

#include <memory>
#include <vector>

#include "autograd/device.h"
#include "autograd/dtype.h"
#include "autograd/shape.h"
#include "autograd/storage.h"

namespace tapestry {

struct Gradient;

/// A cheap handle on contiguous row-major storage. Copies share the storage and the place on the tape.
class Tensor {
 public:
  Tensor() = default;

  /// Contents undefined. dtype and device as given.
  static Tensor empty(Shape shape, DType dtype = DType::float32, Device device = Device::cpu());
  static Tensor zeros(Shape shape, DType dtype = DType::float32, Device device = Device::cpu());
  static Tensor full(Shape shape, double value, DType dtype = DType::float32, Device device = Device::cpu());
  /// A tensor on the CPU with these values in row-major order.
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape);
  /// Same shape, dtype and device as `other`, contents undefined.
  static Tensor empty_like(const Tensor& other) {
    return empty(other.shape(), other.dtype(), other.device());
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  int64_t size() const { return shape_.size(); }
  int64_t bytes() const { return size() * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device::cpu(); }

  /// The elements; T must be the dtype's type. `mutable_data` counts as a write.
  template <class T>
  const T* data() const {
    expect(dtype_of<T>());
    return static_cast<const T*>(storage_->data());
  }
  template <class T>
  T* mutable_data() {
    expect(dtype_of<T>());
    return static_cast<T*>(storage_->mutable_data());
  }
  /// Values on the host as a vector, wherever the tensor lies; converts between the floating types.
  template <class T>
  std::vector<T> values() const;
  /// The value of a tensor of one element.
  double item() const;

  /// The same elements with another shape of equal size: shares storage, gradient and place on the tape.
  Tensor reshape(Shape shape) const;
  /// The same storage as a constant: no gradient flows through it.
  Tensor detach() const;
  /// A copy of the elements, as a constant.
  Tensor clone() const;
  Tensor to(DType dtype) const;
  /// The same elements on another device, as a constant; shares storage if they are there already.
  Tensor to(Device device) const;

  void fill(double value);
  /// Overwrites the elements with those of `other`, of the same shape and dtype.
  void copy_from(const Tensor& other);

  const std::shared_ptr<Storage>& storage() const { return storage_; }

 private:
  friend class Tape;
  friend class Parameter;
  friend class BackwardStep;
  void expect(DType dtype) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  DType dtype_ = DType::float32;
  // Where its gradient goes: a parameter's own, or a node of the tape with this id.
  std::shared_ptr<Gradient> gradient_;
  uint64_t tape_ = 0;
  int64_t node_ = -1;
};

/// A gradient that adds up: the first writer after a clear assigns, so clearing costs nothing.
struct Gradient {
  Tensor value;
  bool written = false;
  Shape shape = {};     // of what it is the gradient of, however the writers saw that reshaped
  bool frozen = false;  // nobody wants it: its parameter counts as a constant
};

}  // namespace tapestry
