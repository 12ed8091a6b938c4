#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace tapestry {

/// What a value may be. Numbers lie in [min, max]; texts are one of `choices` when there are any.
struct Allowed {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;
};
inline Allowed at_least(double min) { return {.min = min, .choices = {}}; }
inline Allowed between(double min, double max) { return {.min = min, .max = max, .choices = {}}; }
inline Allowed one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// One key of a section, with the member of the options struct hidden behind `set` and `get`.
struct Option {
  std::string name;
  std::string kind;  // "integer", "number", "yes/no", "text" or "list", as the help shows it
  std::string help;
  Allowed allowed;
  std::string default_text;
  std::function<void(void*, const std::string&)> set;  // parses; throws Error(usage) without naming the key
  std::function<std::string(const void*)> get;         // the text that `set` reads back to the same value
};

/// A named group of keys: `[bsbr] chunk` in a file, `--bsbr.chunk` on the command line. The section
/// with the empty name holds a verb's own keys, `--checkpoint`.
struct OptionSection {
  std::string name;
  std::string help;
  std::vector<Option> options;
  const Option* find(const std::string& option) const;
};

/// The section of the options struct S, whose members' initial values are the defaults.
/// `OptionTable<BsbrOptions>("bsbr", "...").add("chunk", &BsbrOptions::chunk, "tokens a chunk",
/// at_least(1))`. Members may be int64_t, double, bool, std::string or std::vector<std::string> (written
/// a,b,c).
template <class S>
class OptionTable : public OptionSection {
 public:
  OptionTable(std::string section, std::string about) {
    name = std::move(section);
    help = std::move(about);
  }
  template <class V>
  OptionTable& add(const std::string& key, V S::*member, std::string about, Allowed allowed = {});
};

/// Text of a value and back; `parse_value` throws Error(usage) saying what was expected.
std::string format_value(int64_t value);
std::string format_value(double value);
std::string format_value(bool value);
std::string format_value(const std::string& value);
std::string format_value(const std::vector<std::string>& value);
void parse_value(const std::string& text, const Allowed& allowed, int64_t& value);
void parse_value(const std::string& text, const Allowed& allowed, double& value);
void parse_value(const std::string& text, const Allowed& allowed, bool& value);
void parse_value(const std::string& text, const Allowed& allowed, std::string& value);
void parse_value(const std::string& text, const Allowed& allowed, std::vector<std::string>& value);
template <class V>
std::string kind_of() {
  if constexpr (std::is_same_v<V, int64_t>) return "integer";
  if constexpr (std::is_same_v<V, double>) return "number";
  if constexpr (std::is_same_v<V, bool>) return "yes/no";
  if constexpr (std::is_same_v<V, std::string>) return "text";
  return "list";
}

template <class S>
template <class V>
OptionTable<S>& OptionTable<S>::add(const std::string& key, V S::*member, std::string about,
                                    Allowed allowed) {
  Option option{key, kind_of<V>(), std::move(about), allowed, format_value(S{}.*member), {}, {}};
  option.set = [member, allowed](void* s, const std::string& text) {
    parse_value(text, allowed, static_cast<S*>(s)->*member);
  };
  option.get = [member](const void* s) { return format_value(static_cast<const S*>(s)->*member); };
  options.push_back(std::move(option));
  return *this;
}

/// The values that were given, by full key ("bsbr.chunk"), each with where it came from.
/// `[layer.N]` sections override, for layer N, keys of the model's attention sections.
class Config {
 public:
  struct Value {
    std::string text;
    std::string source;  // "command line" or "file:line"
  };

  void set(const std::string& key, const std::string& text, const std::string& source);
  const Value* find(const std::string& key) const;
  const std::map<std::string, Value>& values() const { return values_; }

  /// The options of `table` with the given values in place of the defaults; throws one Error(usage) that
  /// lists every bad value with key, source and what is allowed.
  template <class S>
  S get(const OptionTable<S>& table) const {
    S options;
    fill(table, table.name, &options);
    return options;
  }
  /// The same for layer `layer`: `[layer.N] chunk` wins over `[bsbr] chunk`.
  template <class S>
  S get(const OptionTable<S>& table, int64_t layer) const {
    S options = get(table);
    fill(table, join("layer.", layer), &options);
    return options;
  }

 private:
  void fill(const OptionSection& table, const std::string& section, void* options) const;
  std::map<std::string, Value> values_;
};

/// Reads INI text: `[section]`, `key = value`, `#` comments. Unknown keys, duplicates and syntax errors
/// are errors with file and line; an unknown key names the nearest known one.
void read_config_file(const std::string& path, const std::vector<const OptionSection*>& known,
                      Config& config);
void read_config_text(const std::string& text, const std::string& name,
                      const std::vector<const OptionSection*>& known, Config& config);
/// Reads `--section.key value`, `--section.key=value`; wins over what the file gave. A yes/no key may stand
/// alone. Words that start no option go to the last list-valued key (`--input a b c`).
void read_command_line(const std::vector<std::string>& words, const std::vector<const OptionSection*>& known,
                       Config& config);

/// INI text of every key of `sections` at its resolved value, `[layer.N]` overrides included.
std::string format_config(const Config& config, const std::vector<const OptionSection*>& sections);

}  // namespace tapestry
