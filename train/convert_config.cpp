#include "train/convert_config.h"

#include <algorithm>
#include <set>

#include "base/known_options.h"
#include "data/data_options.h"
#include "layers/attention/attention.h"
#include "layers/attention/bsbr_options.h"
#include "layers/layer_options.h"
#include "train/model_config.h"

namespace tapestry {
namespace {

constexpr const char* kByConversion = "convert";

std::vector<std::string> attention_by_layer(const ModelOptions& model) {
  std::vector<std::string> all;
  for (int64_t layer = 0; layer < model.n_layer; ++layer) all.push_back(model.attention_of(layer));
  return all;
}

std::vector<std::string> wanted_attention(const ConvertOptions& options, const ModelOptions& model) {
  std::vector<std::string> all = attention_by_layer(model);
  if (options.attention.empty()) {
    check(options.layers == "all", Exit::usage,
          "--layers says where to put an attention: give --attention with it");
    return all;
  }
  for (const std::string& name : options.attention) attention_kind(name);
  if (options.attention.size() == 1) {
    for (const int64_t layer : parse_ranges("layer", options.layers, model.n_layer))
      all[layer] = options.attention[0];
    return all;
  }
  check(options.layers == "all", Exit::usage, "--layers takes one --attention, not a list of ",
        options.attention.size());
  check(options.attention.size() == all.size(), Exit::usage, "--attention lists ", options.attention.size(),
        " attentions, the model has ", model.n_layer, " layers");
  return options.attention;
}

/// One name if they are all the same.
std::string format_attention(std::vector<std::string> all) {
  if (std::set<std::string>(all.begin(), all.end()).size() == 1) all.resize(1);
  return format_value(all);
}

/// The source's own values, without those of layers whose attention changes.
Config kept_values(const ModelSource& source, const std::vector<std::string>& was,
                   const std::vector<std::string>& now) {
  std::set<std::string> changed;
  for (size_t layer = 0; layer < now.size(); ++layer)
    if (was[layer] != now[layer]) changed.insert(join("layer.", layer));
  const std::set<std::string> in_use(now.begin(), now.end());
  Config config;
  for (const auto& [key, value] : source.config().values()) {
    const std::string section = split_key(key).section;
    const auto& kinds = attention_kinds();
    const bool of_unused = std::any_of(kinds.begin(), kinds.end(), [&](const AttentionKind& kind) {
      return kind.section->name == section && !in_use.contains(kind.name);
    });
    if (!of_unused && !changed.contains(section)) config.set(key, value.text, value.source);
  }
  return config;
}

/// Puts the attentions' options that were given over the others.
void apply_given(const Config& given, const std::set<std::string>& in_use, Config& config) {
  std::set<std::string> sections;
  for (const AttentionKind& kind : attention_kinds()) sections.insert(kind.section->name);
  std::set<std::string> used;
  for (const std::string& name : in_use) used.insert(attention_kind(name).section->name);
  for (const auto& [key, value] : given.values()) {
    const std::string section = split_key(key).section;
    if (!sections.contains(section) && !is_layer_section(section)) continue;
    check(!sections.contains(section) || used.contains(section) || value.source != "command line",
          Exit::usage, "--", key, " is given, but no layer is ", section, ": name it with --attention");
    config.set(key, value.text, value.source);
  }
}

/// What lets bsbr layers that are new read as the original does: all heads, each token by its own score,
/// without a bias, and where it is. What the user gave stays; what [bsbr] says of `others`, bsbr layers that
/// were there before, is not for the new ones.
void set_bsbr_defaults(const std::vector<int64_t>& layers, bool others, const Config& given, Config& config) {
  std::vector<std::string> sections;
  if (!others) sections.push_back("bsbr.");
  for (const int64_t layer : layers)
    if (others) sections.push_back(join("layer.", layer, "."));
  for (const auto& [key, value] :
       {std::pair("score_bias", "off"), std::pair("softmax", "flat"), std::pair("retrieval_heads", "all"),
        std::pair("retrieved_positions", "own")}) {
    if ((others ? given : config).find(std::string("bsbr.") + key)) continue;
    for (const std::string& section : sections)
      if (!config.find(section + key)) config.set(section + key, value, kByConversion);
  }
}

void set_length(const ModelSource& source, const ConvertOptions& options, Config& config) {
  if (options.n_ctx == 0) return;
  const auto model = source.config().get(model_options());
  check(model.positions == "learned", Exit::usage, "--n-ctx lengthens learned positions, those of '",
        source.path(), "' are ", model.positions, ": it takes any length as it is");
  config.set("model.n_ctx", format_value(options.n_ctx), kByConversion);
  config.set("data.seq_len", format_value(options.n_ctx), kByConversion);
}

int64_t parse_number(const std::string& noun, const std::string& text, const std::string& whole,
                     int64_t count) {
  int64_t number = 0;
  try {
    parse_value(text, between(0, static_cast<double>(count - 1)), number);
  } catch (const Error&) {
    fail(Exit::usage, "--", noun, "s ", whole, ": '", text, "' is no ", noun, " from 0 to ", count - 1,
         "; write all, or numbers and ranges as in 0,3-5");
  }
  return number;
}

}  // namespace

const OptionTable<ConvertOptions>& convert_options() {
  using C = ConvertOptions;
  static const OptionTable<C> table =
      OptionTable<C>("", "convert")
          .add("attention", &C::attention,
               "attention of the layers, one or a list with one for each; its options are --bsbr.chunk and "
               "so on; not given: as it is")
          .add("layers", &C::layers, "layers that get it: all, or numbers and ranges from 0 as in 0,3-5")
          .add("n-ctx", &C::n_ctx, "rows of the learned positions; 0: as they are", at_least(0))
          .add("positions", &C::positions,
               "more rows: repeat the old ones, exact up to the old length, or interpolate between them",
               one_of({"repeat", "interpolate"}));
  return table;
}

std::vector<int64_t> parse_ranges(const std::string& noun, const std::string& text, int64_t count) {
  const std::string whole = text == "all" ? join("0-", count - 1) : text;
  std::vector<std::string> parts;
  parse_value(whole, {}, parts);
  std::set<int64_t> numbers;
  for (const std::string& part : parts) {
    const size_t dash = part.find('-');
    const int64_t first = parse_number(noun, part.substr(0, dash), text, count);
    const int64_t last =
        dash == std::string::npos ? first : parse_number(noun, part.substr(dash + 1), text, count);
    check(first <= last, Exit::usage, "--", noun, "s ", text, ": ", part, " runs backwards");
    for (int64_t number = first; number <= last; ++number) numbers.insert(number);
  }
  check(!numbers.empty(), Exit::usage, "--", noun, "s names no ", noun);
  return {numbers.begin(), numbers.end()};
}

Config converted_config(const ModelSource& source, const ConvertOptions& options, const Config& given) {
  const auto model = source.config().get(model_options());
  const std::vector<std::string> was = attention_by_layer(model), now = wanted_attention(options, model);
  Config config = kept_values(source, was, now);
  config.set("model.attention", format_attention(now), was == now ? source.path() : kByConversion);
  apply_given(given, {now.begin(), now.end()}, config);
  std::vector<int64_t> new_bsbr;
  for (size_t layer = 0; layer < now.size(); ++layer)
    if (now[layer] == "bsbr" && was[layer] != "bsbr") new_bsbr.push_back(static_cast<int64_t>(layer));
  const bool old_bsbr = std::find(was.begin(), was.end(), "bsbr") != was.end();
  if (!new_bsbr.empty()) set_bsbr_defaults(new_bsbr, old_bsbr, given, config);
  set_length(source, options, config);
  const auto made = config.get(model_options());
  check_model_options(made);
  check_layer_options(made, config);
  return config;
}

}  // namespace tapestry
