#pragma once

#include <cstdint>

#include "layers/language_model.h"

namespace tapestry {

/// What a forecast is of.
struct MemoryPlan {
  int64_t batch_size = 1;
  int64_t seq_len = 1;
  int64_t moments = 2;             // tensors that the optimizer keeps for each parameter
  int64_t teacher_parameters = 0;  // numbers of a model that it learns from
  bool recompute = false;
};

/// Bytes that a training run takes at its peak, by what they are for.
struct MemoryForecast {
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;
  int64_t activations = 0;  // what forward keeps for backward, and what works on it
  int64_t program = 0;      // code and libraries
  int64_t total() const { return parameters + gradients + optimizer + activations + program; }
};

/// Tries each kind of attention of the model on short sequences to learn what it holds, and reckons the rest.
/// Leaves the model as it is.
MemoryForecast forecast_memory(const LanguageModel& model, const MemoryPlan& plan);

}  // namespace tapestry
