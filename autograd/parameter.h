#pragma once

#include <memory>
#include <string>

#include "autograd/tensor.h"

namespace tapestry {

/// A tensor that training changes. Layers create theirs through Module; the handle may be copied, all copies
/// share value and gradient. The gradient adds up over backward passes until it is cleared.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(Tensor value) : value_(std::move(value)) {
    value_.gradient_ = std::make_shared<Gradient>();
    value_.gradient_->shape = value_.shape();
  }

  /// The value, as an input of ops: gradients flow into this parameter.
  const Tensor& value() const { return value_; }
  operator const Tensor&() const { return value_; }
  Tensor& mutable_value() { return value_; }
  const Shape& shape() const { return value_.shape(); }
  bool defined() const { return value_.defined(); }

  bool has_gradient() const { return value_.gradient_ && value_.gradient_->written; }
  /// Valid only if has_gradient().
  Tensor& gradient() const { return value_.gradient_->value; }
  void clear_gradient() const { value_.gradient_->written = false; }

  /// A frozen parameter, through all its copies, is a constant to the tape: it gets no gradient.
  void set_frozen(bool frozen) const { value_.gradient_->frozen = frozen; }
  bool frozen() const { return value_.gradient_->frozen; }

 private:
  Tensor value_;
};

struct NamedParameter {
  std::string name;  // path in the tree of modules, "blocks.0.mlp.up.weight"
  Parameter parameter;
};

}  // namespace tapestry
