#include "eval/keys_read.h"

#include <algorithm>

#include "layers/attention/bsbr_options.h"
#include "layers/attention/sliding_window.h"

namespace tapestry {
namespace {

double window_share(const SlidingWindowOptions& options, int64_t tokens) {
  double read = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t near = std::min(t + 1, options.window);
    read += static_cast<double>(near + std::min(t + 1 - near, options.sink));
  }
  return read / (static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2);
}

double bsbr_share(BsbrOptions options, int64_t tokens, int64_t n_head) {
  if (!options.reads_tokens()) options.topk = std::string("0");  // states are no keys
  return options.keys_read_share(tokens, n_head);
}

}  // namespace

std::optional<double> keys_read_share(const Config& config, int64_t tokens) {
  const auto model = config.get(model_options());
  double sum = 0;
  for (int64_t layer = 0; layer < model.n_layer; ++layer) {
    const std::string& attention = model.attention_of(layer);
    if (attention == "standard") {
      sum += 1;
    } else if (attention == "sliding_window") {
      sum += window_share(config.get(sliding_window_options(), layer), tokens);
    } else if (attention == "bsbr") {
      sum += bsbr_share(config.get(bsbr_options(), layer), tokens, model.n_head);
    } else {
      return std::nullopt;
    }
  }
  return sum / static_cast<double>(model.n_layer);
}

}  // namespace tapestry
