#pragma once

#include <functional>

#include "autograd/tensor.h"

namespace tapestry {

/// What a step of training makes of one micro-batch.
struct StepLoss {
  Tensor loss;  // what backward starts from, a scalar
  Tensor nll;   // mean negative log-likelihood of the targets, a scalar, whatever else the loss holds
};
/// From tokens and targets, [B, T] int32.
using Objective = std::function<StepLoss(const Tensor& tokens, const Tensor& targets)>;

}  // namespace tapestry
