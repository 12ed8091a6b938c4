#include "autograd/tensor.h"

#include <cstring>

namespace tapestry {
namespace {

void require_host(const Tensor& tensor) {
  require(!tensor.device().is_cuda(), "expected a tensor on the CPU, got one on ", tensor.device().name());
}

template <class From, class To>
std::vector<To> convert(const Tensor& tensor) {
  const From* data = tensor.data<From>();
  return std::vector<To>(data, data + tensor.size());
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
  require_host(*this);
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
  switch (dtype) {
    case DType::float32:
      return from(values<float>(), shape_);
    case DType::float64:
      return from(values<double>(), shape_);
    default:
      return from(values<int32_t>(), shape_);
  }
}

void Tensor::fill(double value) {
  require_host(*this);
  switch (dtype_) {
    case DType::float32:
      std::fill_n(mutable_data<float>(), size(), static_cast<float>(value));
      break;
    case DType::float64:
      std::fill_n(mutable_data<double>(), size(), value);
      break;
    case DType::int32:
      std::fill_n(mutable_data<int32_t>(), size(), static_cast<int32_t>(value));
      break;
  }
}

void Tensor::copy_from(const Tensor& other) {
  require(other.shape_ == shape_ && other.dtype_ == dtype_, "cannot copy ", name_of(other.dtype_),
          other.shape_, " into ", name_of(dtype_), shape_);
  require_host(*this);
  require_host(other);
  std::memcpy(storage_->mutable_data(), other.storage_->data(), bytes());
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
