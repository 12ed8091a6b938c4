#include "train/gpt2_config.h"

#include "tests/fuzz/property.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

bool same(const ModelOptions& a, const ModelOptions& b) {
  const auto numbers = [](const ModelOptions& m) {
    return std::tuple(m.n_layer, m.n_head, m.n_embd, m.inner(), m.n_ctx, m.vocab_size, m.activation,
                      m.norm_eps, m.tie_embeddings, m.bias, m.positions);
  };
  return numbers(a) == numbers(b);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(text_of(data, size));
  const auto model = accepted({Exit::input}, [&] { return parse_gpt2_config(text, "config.json"); });
  if (!model) return 0;
  hold(model->n_layer > 0 && model->n_head > 0 && model->n_embd % model->n_head == 0 && model->n_ctx > 0 &&
           model->vocab_size > 0 && model->inner() > 0,
       "the sizes are those of a model");
  hold(model->dropout >= 0 && model->dropout < 1 && model->norm_eps > 0, "the numbers are in range");
  for (const std::string& original : {text, std::string()}) {
    const std::string written = format_gpt2_config(*model, original, std::nullopt);
    hold(same(parse_gpt2_config(written, "what was written"), *model), "what is written reads back");
  }
  return 0;
}
