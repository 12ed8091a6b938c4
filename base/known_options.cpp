#include "base/known_options.h"

#include <algorithm>
#include <cstdlib>

#include "base/nearest.h"

namespace tapestry {
namespace {

// A wrong letter costs two, a wrong section never more than one and a half letters: people forget which
// section a key lives in more often than they misspell a key so badly that it looks like another one.
constexpr int kWrongLetter = 2, kWrongSection = 3;

int section_cost(const std::string& given, const std::string& known) {
  return std::min(kWrongLetter * edit_distance(given, known, 1), kWrongSection);
}

// Some number above `limit` where it is above that.
int name_cost(const std::string& given, const std::string& known, int limit) {
  const auto longer = static_cast<int>(given.size()) - static_cast<int>(known.size());
  const int at_least = kWrongLetter * std::abs(longer);
  return at_least > limit ? at_least : kWrongLetter * edit_distance(given, known, limit / kWrongLetter);
}

bool has_layered_key(const OptionSection& section) {
  const auto layered = [](const Option& option) { return option.layered; };
  return section.layered || std::any_of(section.options.begin(), section.options.end(), layered);
}

}  // namespace

KeyParts split_key(const std::string& key) {
  const auto dot = key.rfind('.');
  // A dot in front names no section: ".resume" is not "resume", for whose key nobody would find its value.
  if (dot == std::string::npos || dot == 0) return {"", key};
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

// Among every known key, and if `key` is of a layer, those that a layer may override.
std::string KnownOptions::suggest_key(const std::string& key) const {
  const KeyParts given = split_key(key);
  const bool layer = is_layer_section(given.section);
  Nearest nearest;
  for (const OptionSection* known : sections_) {
    const int section = section_cost(given.section, known->name);
    for (const Option& option : known->options) {
      const int name = name_cost(given.name, option.name, nearest.least());
      if (name > nearest.least()) continue;  // most: no text is made for them
      nearest.offer(section + name, known->name.empty() ? option.name : known->name + "." + option.name);
      if (layer && (known->layered || option.layered)) nearest.offer(name, given.section + "." + option.name);
    }
  }
  return nearest.question();
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
