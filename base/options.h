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

/// What a value may be. Numbers lie between `min` and `max`, ends included unless open; texts and the items
/// of lists are one of `choices` when there are any.
struct Allowed {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;
  bool max_open = false;
  std::vector<std::string> choices = {};
};
inline Allowed at_least(double min) { return {.min = min}; }
inline Allowed above(double min) { return {.min = min, .min_open = true}; }
inline Allowed between(double min, double max) { return {.min = min, .max = max}; }
/// min <= value < max, as for a dropout probability.
inline Allowed half_open(double min, double max) { return {.min = min, .max = max, .max_open = true}; }
inline Allowed one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// "at least 1", "between 0 and 1", "one of a, b"; empty when everything is allowed.
std::string describe(const Allowed& allowed);

/// One key of a section, with the member of the options struct hidden behind `set` and `get`.
struct Option {
  std::string name;
  std::string kind;  // "integer", "number", "yes/no", "text" or "list", as the help shows it
  std::string help;
  Allowed allowed;
  std::string default_text;
  std::function<void(const std::string&)> check;       // throws Error(usage), without the key, if set would
  std::function<void(void*, const std::string&)> set;  // parses; throws Error(usage) without naming the key
  std::function<std::string(const void*)> get;         // the text that `set` reads back to the same value
  bool layered = false;                                // `[layer.N]` may override it
  bool takes_words = false;                            // so do words of the command line without a --key
  std::string former = {};                             // what it was in models older than the key
};

/// A named group of keys: `[bsbr] chunk` in a file, `--bsbr.chunk` on the command line. The section
/// with the empty name holds a verb's own keys, `--checkpoint`; several sections may share a name.
struct OptionSection {
  std::string name;
  std::string help;
  std::vector<Option> options;
  bool layered = false;  // `[layer.N]` may override every key

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
  /// Makes the key, added before, the one that words of the command line belong to when no --key claims
  /// them: `tapestry verify a.h5 b.h5`. A verb has one such key at most.
  OptionTable& plain_words(const std::string& key) {
    for (Option& option : options) option.takes_words |= option.name == key;
    return *this;
  }
  /// What the key, added before, was in models written before it existed, if that is not its default now.
  OptionTable& formerly(const std::string& key, const std::string& text) {
    for (Option& option : options)
      if (option.name == key) option.former = text;
    return *this;
  }
  /// Lets `[layer.N]` override every key of this section.
  OptionTable& per_layer() {
    layered = true;
    return *this;
  }
  /// Lets `[layer.N]` override one key, added before.
  OptionTable& per_layer(const std::string& key) {
    for (Option& option : options) option.layered |= option.name == key;
    return *this;
  }
};

/// Text of a value and back; `parse_value` throws Error(usage) saying what was expected. Integers are
/// decimal digits only (no 1e3), numbers finite, yes/no is true/false, yes/no, on/off or 1/0. A comma inside
/// an item of a list is written `\,`.
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
  Option option{key, kind_of<V>(), std::move(about), allowed, format_value(S{}.*member), {}, {}, {}};
  option.check = [allowed](const std::string& text) {
    V scratch{};
    parse_value(text, allowed, scratch);
  };
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

/// Reads INI text: `[section]`, `key = value`, `#` comments; a value with spaces at its ends, `#` or control
/// characters stands in double quotes with the escapes \\ \" \n \r \t \xHH. Throws one Error(usage) that
/// lists, with file and line, every syntax error, duplicate, bad value and unknown key, the latter with the
/// nearest known one.
void read_config_file(const std::string& path, const std::vector<const OptionSection*>& known,
                      Config& config);
void read_config_text(const std::string& text, const std::string& name,
                      const std::vector<const OptionSection*>& known, Config& config);
/// Reads `--section.key value`, `--section.key=value`; wins over what the file gave. A yes/no key may stand
/// alone. Words that start no option go to the last list-valued key (`--input a b c`), which may be repeated,
/// and before any to the key that takes plain words.
/// Throws one Error(usage) that lists all that is wrong.
void read_command_line(const std::vector<std::string>& words, const std::vector<const OptionSection*>& known,
                       Config& config);

/// Gives keys that the config of a stored model lacks what they formerly were: a new key with another default
/// does not change the models that were there before it.
void fill_former_options(const std::vector<const OptionSection*>& sections, Config& config);

/// INI text of every key of `sections` at its resolved value, `[layer.N]` overrides included; a comment says
/// where a value came from unless it is the default. Reads back to the same values.
std::string format_config(const Config& config, const std::vector<const OptionSection*>& sections);

}  // namespace tapestry
