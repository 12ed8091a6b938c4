#include "autograd/tensor.h"

#include <algorithm>

#include "autograd/memory.h"

namespace tapestry {
namespace {

template <class From, class To>
std::vector<To> convert(const Tensor& tensor) {
  if constexpr (std::is_same_v<From, To>) {
    std::vector<To> values(tensor.size());
    copy_bytes(Device::cpu(), values.data(), tensor.device(), tensor.data<From>(), tensor.bytes());
    return values;
  } else {
    const std::vector<From> values = tensor.values<From>();
    return std::vector<To>(values.begin(), values.end());
  }
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.storage_ = std::make_shared<Storage>(device, shape.size() * size_of(dtype));
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.fill(value);
  return tensor;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  require(static_cast<int64_t>(values.size()) == shape.size(), "a tensor ", shape, " has ", shape.size(),
          " elements, got ", values.size());
  Tensor tensor = empty(shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
  return tensor;
}

template <class T>
std::vector<T> Tensor::values() const {
  switch (dtype_) {
    case DType::float32:
      return convert<float, T>(*this);
    case DType::float64:
      return convert<double, T>(*this);
    default:
      return convert<int32_t, T>(*this);
  }
}

double Tensor::item() const {
  require(size() == 1, "item() needs a tensor of one element, got ", shape_);
  return values<double>().front();
}

Tensor Tensor::reshape(Shape shape) const {
  require(shape.size() == size(), "cannot reshape ", shape_, " to ", shape);
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.gradient_ = nullptr;
  result.tape_ = 0;
  result.node_ = -1;
  return result;
}

Tensor Tensor::clone() const {
  Tensor result = empty_like(*this);
  result.copy_from(*this);
  return result;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return detach();
  const auto convert = [&] {
    switch (dtype) {
      case DType::float32:
        return from(values<float>(), shape_);
      case DType::float64:
        return from(values<double>(), shape_);
      default:
        return from(values<int32_t>(), shape_);
    }
  };
  return convert().to(device());
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return detach();
  Tensor result = empty(shape_, dtype_, device);
  result.copy_from(*this);
  return result;
}

void Tensor::fill(double value) {
  const auto fill_as = [&]<class T>(T) {
    LAUNCH(device(), fill<T>(mutable_data<T>(), static_cast<T>(value), size()));
  };
  switch (dtype_) {
    case DType::float32:
      return fill_as(float{});
    case DType::float64:
      return fill_as(double{});
    case DType::int32:
      return fill_as(int32_t{});
  }
}

void Tensor::copy_from(const Tensor& other) {
  require(other.shape_ == shape_ && other.dtype_ == dtype_, "cannot copy ", name_of(other.dtype_),
          other.shape_, " into ", name_of(dtype_), shape_);
  copy_bytes(device(), storage_->mutable_data(), other.device(), other.storage_->data(), bytes());
}

void Tensor::expect(DType dtype) const {
  require(defined(), "this tensor is empty");
  require(dtype == dtype_, "this tensor holds ", name_of(dtype_), ", not ", name_of(dtype));
}

template Tensor Tensor::from(const std::vector<float>&, Shape);
template Tensor Tensor::from(const std::vector<double>&, Shape);
template Tensor Tensor::from(const std::vector<int32_t>&, Shape);
template std::vector<float> Tensor::values() const;
template std::vector<double> Tensor::values() const;
template std::vector<int32_t> Tensor::values() const;

}  // namespace tapestry
