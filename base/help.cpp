#include "base/help.h"

#include <algorithm>

namespace tapestry {
namespace {

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// "integer, at least 1, default 64"
std::string value_help(const Option& option) {
  const std::string range = describe(option.allowed);
  const bool empty = option.default_text.empty();
  return join(option.kind, range.empty() ? "" : ", ", range, empty ? "" : ", default ", option.default_text);
}

std::string option_help(const OptionSection& section, const Option& option) {
  const std::string key = "--" + (section.name.empty() ? "" : section.name + ".") + option.name;
  const bool layered = section.layered || option.layered;
  return join("  ", padded(key, 26), "  ", option.help, "\n", std::string(30, ' '), value_help(option),
              layered ? "; also --layer.N." + option.name : "",
              option.takes_words ? "; the key may be left out" : "", "\n");
}

}  // namespace

std::string program_help(const std::vector<Command>& commands) {
  size_t width = 4;
  for (const Command& command : commands) width = std::max(width, command.name.size());
  std::string text = "usage: tapestry <verb> [--config FILE] [--section.key value]...\n\n";
  for (const Command& command : commands)
    text += "  " + padded(command.name, width) + "  " + command.summary + "\n";
  return text + "\ntapestry <verb> --help lists the options of a verb with their defaults.\n";
}

std::string command_help(const Command& command) {
  std::string text =
      join("tapestry ", command.name, ": ", command.summary, "\n\n", "  ", padded("--config FILE", 26),
           "  INI file to read first; the command line wins\n", "  ", padded("--print-config", 26),
           "  print every option as it was resolved, and end\n");
  for (const OptionSection* section : command.sections) {
    text += join("\n", section->help, section->name.empty() ? "" : " [" + section->name + "]", "\n");
    for (const Option& option : section->options) text += option_help(*section, option);
  }
  return text;
}

}  // namespace tapestry
