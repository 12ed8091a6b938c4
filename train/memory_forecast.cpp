#include "train/memory_forecast.h"

namespace tapestry {
namespace {

/// Floats that a block saves for each token: the inputs of both norms (2 C) and their outputs (2 C), q, k, v
/// and the attention's output (4 C), the feed-forward part before and after the activation (2 F).
int64_t block_floats(const ModelOptions& options) { return 8 * options.n_embd + 2 * options.inner(); }

}  // namespace

MemoryForecast forecast_memory(const LanguageModel& model, int64_t batch_size, int64_t seq_len,
                               int64_t moments, bool recompute) {
  const ModelOptions& options = model.options();
  const int64_t parameters = 4 * model.parameter_count();
  const int64_t tokens = batch_size * seq_len;
  const int64_t blocks = recompute ? options.n_layer * options.n_embd + block_floats(options)
                                   : options.n_layer * block_floats(options);
  // The final norm's input and output and the gradient that the loss makes at once; a block of logits and the
  // gradient of the output projection.
  const int64_t head = 3 * options.n_embd;
  const int64_t loss = options.vocab_size * options.n_embd;
  return {.parameters = parameters,
          .gradients = parameters,
          .optimizer = moments * parameters,
          .activations = 4 * (tokens * (blocks + head) + loss)};
}

}  // namespace tapestry
