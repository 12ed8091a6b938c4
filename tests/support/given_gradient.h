#pragma once

#include "autograd/parameter.h"
#include "autograd/tape.h"

namespace tapestry::test {

/// Adds `gradient` to the gradient of `parameter`, by a backward pass as a model would.
inline void give_gradient(const Parameter& parameter, const Tensor& gradient) {
  Tape tape;
  Tensor output = Tensor::zeros({1});
  record("give_gradient", {parameter.value()}, output, {gradient},
         [](BackwardStep& step) { step.add(0, step.saved(0)); });
  tape.backward(output);
}

}  // namespace tapestry::test
