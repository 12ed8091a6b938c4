#include <cstdio>
#include <set>

#include "base/known_options.h"
#include "base/options.h"
#include "base/violations.h"

namespace tapestry {
namespace {

std::string full_key(const std::string& section, const std::string& option) {
  return section.empty() ? option : section + "." + option;
}

bool needs_quotes(const std::string& text) {
  if (text.empty()) return false;
  for (const unsigned char c : text) {
    if (c == '#' || c < ' ' || c == 0x7f) return true;
  }
  return text.front() == ' ' || text.back() == ' ' || text.front() == '"';
}

// The inverse of the reader's unquoting. `#` is escaped because a comment starts there, quotes or not.
std::string quoted_if_needed(const std::string& text) {
  if (!needs_quotes(text)) return text;
  std::string quoted = "\"";
  for (const unsigned char c : text) {
    if (c == '#' || c < ' ' || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      quoted += escape;
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += static_cast<char>(c);
    }
  }
  return quoted + '"';
}

std::string line_of(const std::string& option, const std::string& text, const std::string& source) {
  return join(option, " = ", quoted_if_needed(text), source.empty() ? "" : "  # " + quoted_if_needed(source),
              "\n");
}

std::string heading(const std::string& text_before, const std::string& section) {
  return (text_before.empty() ? "[" : "\n[") + section + "]\n";
}

std::string resolved_line(const Config& config, const std::string& section, const Option& option) {
  const Config::Value* value = config.find(full_key(section, option.name));
  if (!value) return line_of(option.name, option.default_text, "");
  return line_of(option.name, value->text, value->text == option.default_text ? "" : value->source);
}

// The `[layer.N]` values in the order of their keys, each section under its heading.
std::string layer_sections(const Config& config, const KnownOptions& known) {
  std::string text;
  std::string current;
  for (const auto& [key, value] : config.values()) {
    const KeyParts parts = split_key(key);
    if (!is_layer_section(parts.section) || known.find(key).empty()) continue;
    if (parts.section != current) text += heading("above", parts.section);
    current = parts.section;
    text += line_of(parts.name, value.text, value.source);
  }
  return text;
}

}  // namespace

void Config::set(const std::string& key, const std::string& text, const std::string& source) {
  values_[key] = {text, source};
}

const Config::Value* Config::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void Config::fill(const OptionSection& table, const std::string& section, void* options) const {
  Violations bad;
  for (const Option& option : table.options) {
    const std::string key = full_key(section, option.name);
    const Value* value = find(key);
    if (!value) continue;
    try {
      option.set(options, value->text);
    } catch (const Error& error) {
      bad.add(value->source, ": ", key, " = ", value->text, ": ", error.what());
    }
  }
  bad.throw_if_any();
}

std::string format_config(const Config& config, const std::vector<const OptionSection*>& sections) {
  std::vector<std::string> order = {""};  // keys without a section must stand before the first heading
  std::map<std::string, std::string> lines;
  std::set<std::string> written;
  for (const OptionSection* section : sections) {
    if (!section->name.empty() && !lines.count(section->name)) order.push_back(section->name);
    std::string& text = lines[section->name];
    for (const Option& option : section->options) {
      const bool first = written.insert(full_key(section->name, option.name)).second;
      if (first) text += resolved_line(config, section->name, option);
    }
  }
  std::string text = lines[""];
  for (size_t i = 1; i < order.size(); ++i) text += heading(text, order[i]) + lines[order[i]];
  return text + layer_sections(config, KnownOptions(sections));
}

}  // namespace tapestry
