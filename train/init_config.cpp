#include "train/init_config.h"

#include <algorithm>
#include <optional>

#include "base/known_options.h"
#include "base/violations.h"
#include "layers/attention/attention.h"
#include "train/model_config.h"

namespace tapestry {
namespace {

constexpr const char* kSeqLen = "data.seq_len";
constexpr const char* kDropout = "model.dropout";

template <class V>
std::optional<V> parsed(const std::string& text) {
  V value{};
  try {
    parse_value(text, {}, value);
  } catch (const Error&) {
    return std::nullopt;
  }
  return value;
}

template <class V>
bool equal_as(const std::string& a, const std::string& b) {
  const auto x = parsed<V>(a), y = parsed<V>(b);
  return x && y && *x == *y;
}

bool describes_model(const std::string& key) {
  const std::string section = split_key(key).section;
  const auto sections = model_sections();
  return is_layer_section(section) || std::any_of(sections.begin(), sections.end(),
                                                  [&](const auto* known) { return known->name == section; });
}

/// What the source has for a key; for one of [layer.N], what layer N has.
std::string value_of(const Config& all, const std::string& key) {
  if (const Config::Value* value = all.find(key)) return value->text;
  const KeyParts parts = split_key(key);
  const auto model = all.get(model_options());
  const int64_t layer = std::stoll(parts.section.substr(parts.section.find('.') + 1));
  if (layer >= model.n_layer) return "no such layer";
  const Config::Value* value =
      all.find(attention_kind(model.attention_of(layer)).section->name + "." + parts.name);
  return value ? value->text : "no such option in layer " + std::to_string(layer);
}

}  // namespace

bool same_value(const std::string& a, const std::string& b) {
  return a == b || equal_as<double>(a, b) || equal_as<bool>(a, b) || equal_as<std::vector<std::string>>(a, b);
}

Config init_config(const Config& given, const ModelSource& source, std::vector<std::string>& notes) {
  const Config all = spelled_out(source.config());
  Config config = given;
  Violations wrong;
  for (const auto& [key, value] : given.values()) {
    if (key != kSeqLen && !describes_model(key)) continue;
    const std::string before = value_of(all, key);
    if (same_value(before, value.text)) continue;
    if (key == kSeqLen || key == kDropout) {
      notes.push_back(join(key, " = ", value.text, " in place of ", before));
    } else {
      wrong.add(key, " = ", value.text, " (", value.source, "), but train.init = ", source.path(), " has ",
                before, "; `tapestry convert` makes another model of it");
    }
  }
  wrong.throw_if_any();
  for (const auto& [key, value] : source.config().values())
    if (!config.find(key)) config.set(key, value.text, source.path());
  return config;
}

}  // namespace tapestry
