#include "layers/layer_options.h"

#include "base/known_options.h"
#include "base/violations.h"
#include "layers/attention/attention.h"

namespace tapestry {

void check_layer_options(const ModelOptions& model, const Config& config) {
  Violations wrong;
  for (const auto& [key, value] : config.values()) {
    const KeyParts parts = split_key(key);
    if (!is_layer_section(parts.section)) continue;
    const std::string number = parts.section.substr(parts.section.find('.') + 1);
    const bool there = number.size() < 9 && std::stoll(number) < model.n_layer;
    wrong.require(there, key, " (", value.source, "): the model's layers are 0 to ", model.n_layer - 1);
    if (!there) continue;
    const std::string& attention = model.attention_of(std::stoll(number));
    wrong.require(attention_kind(attention).section->find(parts.name) != nullptr, key, " (", value.source,
                  "): layer ", number, " is ", attention, ", which has no ", parts.name);
  }
  wrong.throw_if_any();
}

}  // namespace tapestry
