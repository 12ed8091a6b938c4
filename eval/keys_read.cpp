#include "eval/keys_read.h"

#include "layers/attention/attention.h"

namespace tapestry {

std::optional<double> keys_read_share(const Config& config, int64_t tokens) {
  const auto model = config.get(model_options());
  double sum = 0;
  for (int64_t layer = 0; layer < model.n_layer; ++layer) {
    const AttentionKind& kind = attention_kind(model.attention_of(layer));
    const auto share = kind.cost({tokens, model.n_embd, model.n_head}, config, layer).keys_read_share;
    if (!share) return std::nullopt;
    sum += *share;
  }
  return sum / static_cast<double>(model.n_layer);
}

}  // namespace tapestry
