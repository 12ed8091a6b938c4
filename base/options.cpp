#include "base/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tapestry {
namespace {

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

[[noreturn]] void refuse(const std::string& kind, const Allowed& allowed) {
  const std::string range = describe(allowed);
  fail(Exit::usage, "must be ", kind, range.empty() ? "" : ", ", range);
}

template <class Number>
bool in_range(Number value, const Allowed& allowed) {
  const auto x = static_cast<double>(value);
  return (allowed.min_open ? x > allowed.min : x >= allowed.min) &&
         (allowed.max_open ? x < allowed.max : x <= allowed.max);
}

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end;
}

bool is_choice(const std::string& text, const Allowed& allowed) {
  const auto& choices = allowed.choices;
  return choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end();
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Splits at commas and drops the spaces around items; a backslash takes the next character as it is.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items(1);
  std::string spaces;  // seen but not yet known to lie inside the item
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 1 < text.size();
    if (!escaped && text[i] == ',') {
      items.emplace_back();
      spaces.clear();
    } else if (!escaped && (text[i] == ' ' || text[i] == '\t')) {
      spaces += text[i];
    } else {
      if (!items.back().empty()) items.back() += spaces;
      spaces.clear();
      items.back() += escaped ? text[++i] : text[i];
    }
  }
  return items;
}

std::string escape_item(const std::string& item) {
  std::string text;
  for (size_t i = 0; i < item.size(); ++i) {
    const bool end = i == 0 || i + 1 == item.size();
    const bool space = item[i] == ' ' || item[i] == '\t';
    if (item[i] == ',' || item[i] == '\\' || (space && end)) text += '\\';
    text += item[i];
  }
  return text;
}

}  // namespace

std::string describe(const Allowed& allowed) {
  if (!allowed.choices.empty()) return "one of " + list_of(allowed.choices);
  const bool min = std::isfinite(allowed.min);
  const bool max = std::isfinite(allowed.max);
  if (min && max && !allowed.min_open && !allowed.max_open) {
    return join("between ", format_value(allowed.min), " and ", format_value(allowed.max));
  }
  std::string text;
  if (min) text = join(allowed.min_open ? "above " : "at least ", format_value(allowed.min));
  if (max) {
    text += join(min ? " and " : "", allowed.max_open ? "below " : "at most ", format_value(allowed.max));
  }
  return text;
}

const Option* OptionSection::find(const std::string& option) const {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.name == option; });
  return found == options.end() ? nullptr : &*found;
}

void fill_former_options(const std::vector<const OptionSection*>& sections, Config& config) {
  for (const OptionSection* section : sections) {
    for (const Option& option : section->options) {
      const std::string key = join(section->name, ".", option.name);
      if (!option.former.empty() && config.find(key) == nullptr)
        config.set(key, option.former, "written before there was this key");
    }
  }
}

std::string format_value(int64_t value) { return std::to_string(value); }

std::string format_value(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string format_value(bool value) { return value ? "true" : "false"; }

std::string format_value(const std::string& value) { return value; }

std::string format_value(const std::vector<std::string>& value) {
  std::string text;
  for (const std::string& item : value) {
    if (!text.empty()) text += ',';
    text += escape_item(item);
  }
  return text;
}

void parse_value(const std::string& text, const Allowed& allowed, int64_t& value) {
  int64_t parsed = 0;
  if (!read_number(text, parsed) || !in_range(parsed, allowed)) refuse("an integer", allowed);
  value = parsed;
}

void parse_value(const std::string& text, const Allowed& allowed, double& value) {
  double parsed = 0;
  if (!read_number(text, parsed) || !std::isfinite(parsed) || !in_range(parsed, allowed)) {
    refuse("a finite number", allowed);
  }
  value = parsed;
}

void parse_value(const std::string& text, const Allowed&, bool& value) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") {
    value = true;
  } else if (text == "false" || text == "no" || text == "off" || text == "0") {
    value = false;
  } else {
    fail(Exit::usage, "must be true or false");
  }
}

void parse_value(const std::string& text, const Allowed& allowed, std::string& value) {
  if (!is_choice(text, allowed)) fail(Exit::usage, "must be ", describe(allowed));
  value = text;
}

void parse_value(const std::string& text, const Allowed& allowed, std::vector<std::string>& value) {
  value.clear();
  if (trimmed(text).empty()) return;
  for (const std::string& item : split_list(text)) {
    check(!item.empty(), Exit::usage, "has an empty item; items are separated by single commas");
    check(is_choice(item, allowed), Exit::usage, "'", item, "' must be ", describe(allowed));
    value.push_back(item);
  }
}

}  // namespace tapestry
