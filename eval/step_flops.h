#pragma once

#include <cstdint>
#include <vector>

#include "autograd/gemm.h"
#include "layers/language_model.h"

namespace tapestry {

/// What one pass over a batch of sequences works on.
struct StepShape {
  int64_t batch_size = 1;
  int64_t seq_len = 1;
  bool training = true;  // forward and backward; else forward only
  int64_t tokens() const { return batch_size * seq_len; }
};

/// The products of all linear layers and of the output projection, as the ops run them: forward and, in
/// training, the gradients of input and weights. `config` holds the options of the attentions.
std::vector<Gemm> linear_products(const LanguageModel& model, const Config& config, const StepShape& shape);

/// Two for every multiplication and addition.
double flops_of(const std::vector<Gemm>& products);

/// What the attentions add to their projections: their cores, and twice as much again for backward.
double attention_flops(const ModelOptions& model, const Config& config, const StepShape& shape);

}  // namespace tapestry
