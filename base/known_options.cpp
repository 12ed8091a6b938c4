#include "base/known_options.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/nearest.h"

namespace tapestry {
namespace {

// A wrong letter costs two, a wrong section never more than one and a half letters: people forget which
// section a key lives in more often than they misspell a key so badly that it looks like another one.
int key_cost(const KeyParts& given, const KeyParts& known) {
  const int section = edit_distance(given.section, known.section);
  return 2 * edit_distance(given.name, known.name) + std::min(2 * section, 3);
}

bool has_layered_key(const OptionSection& section) {
  const auto layered = [](const Option& option) { return option.layered; };
  return section.layered || std::any_of(section.options.begin(), section.options.end(), layered);
}

}  // namespace

KeyParts split_key(const std::string& key) {
  const auto dot = key.rfind('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

bool is_layer_section(const std::string& section) {
  const std::string prefix = "layer.";
  const std::string number = section.substr(std::min(prefix.size(), section.size()));
  const bool decimal = number.find_first_not_of("0123456789") == std::string::npos;
  const bool plain = number == "0" || (!number.empty() && number[0] != '0');
  return section.rfind(prefix, 0) == 0 && decimal && plain;
}

std::string KnownOptions::words_key() const {
  for (const OptionSection* section : sections_) {
    for (const Option& option : section->options)
      if (option.takes_words) return section->name.empty() ? option.name : section->name + "." + option.name;
  }
  return "";
}

bool KnownOptions::has_section(const std::string& section) const {
  return std::any_of(sections_.begin(), sections_.end(), [&](const OptionSection* s) {
    return s->name == section || (is_layer_section(section) && has_layered_key(*s));
  });
}

std::vector<const Option*> KnownOptions::find(const std::string& key) const {
  const KeyParts parts = split_key(key);
  const bool layer = is_layer_section(parts.section);
  std::vector<const Option*> found;
  for (const OptionSection* section : sections_) {
    const Option* option = section->find(parts.name);
    if (option && (layer ? section->layered || option->layered : section->name == parts.section)) {
      found.push_back(option);
    }
  }
  return found;
}

// Every known key, and as `[section]` ones those that it may override if `section` is a layer's.
std::vector<std::string> KnownOptions::keys_like(const std::string& section) const {
  std::vector<std::string> keys;
  for (const OptionSection* known : sections_) {
    for (const Option& option : known->options) {
      keys.push_back(known->name.empty() ? option.name : known->name + "." + option.name);
      if (is_layer_section(section) && (known->layered || option.layered)) {
        keys.push_back(section + "." + option.name);
      }
    }
  }
  return keys;
}

std::string KnownOptions::suggest_key(const std::string& key) const {
  const KeyParts given = split_key(key);
  int least = std::numeric_limits<int>::max();  // so far; what is much longer or shorter need not be compared
  return did_you_mean(keys_like(given.section), [&](const std::string& text) {
    const KeyParts known = split_key(text);
    const auto longer = static_cast<int>(given.name.size()) - static_cast<int>(known.name.size());
    const int at_least = 2 * std::abs(longer);
    if (at_least > least) return at_least;
    const int cost = key_cost(given, known);
    least = std::min(least, cost);
    return cost;
  });
}

std::string KnownOptions::suggest_section(const std::string& section) const {
  std::vector<std::string> names;
  for (const OptionSection* known : sections_) {
    if (!known->name.empty()) names.push_back("[" + known->name + "]");
    if (has_layered_key(*known)) names.push_back("[layer.N]");
  }
  return did_you_mean(names, "[" + section + "]");
}

void check_value(const std::vector<const Option*>& options, const std::string& text) {
  for (size_t i = 0; i < options.size(); ++i) {
    try {
      return options[i]->check(text);
    } catch (const Error&) {
      if (i + 1 == options.size()) throw;
    }
  }
}

}  // namespace tapestry
