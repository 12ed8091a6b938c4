#pragma once

#include <cstdint>

#include "layers/language_model.h"

namespace tapestry {

/// Bytes that a training run takes at its peak, by what they are for.
struct MemoryForecast {
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;
  int64_t activations = 0;  // what the tape holds at the end of the forward pass, and the loss
  int64_t total() const { return parameters + gradients + optimizer + activations; }
};

/// `moments`: tensors that the optimizer keeps for each parameter.
MemoryForecast forecast_memory(const LanguageModel& model, int64_t batch_size, int64_t seq_len,
                               int64_t moments, bool recompute);

}  // namespace tapestry
