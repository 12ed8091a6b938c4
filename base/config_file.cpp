#include <boost/program_options.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "base/known_options.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/violations.h"

namespace tapestry {
namespace {

namespace po = boost::program_options;

// The character that an escape stands for; moves `at` to the escape's last character.
std::optional<char> unescape(const std::string& text, size_t& at) {
  const std::map<char, char> plain = {{'\\', '\\'}, {'"', '"'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
  if (const auto found = plain.find(text[at]); found != plain.end()) return found->second;
  const std::string digits = text.substr(at + 1, 2);
  const bool hex =
      digits.size() == 2 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (text[at] != 'x' || !hex) return std::nullopt;
  at += 2;
  return static_cast<char>(std::stoi(digits, nullptr, 16));
}

// A value in double quotes without them; nothing if the quotes or an escape are broken.
std::optional<std::string> unquote(const std::string& text) {
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional(value) : std::nullopt;
    if (text[i] != '\\') {
      value += text[i];
    } else if (++i < text.size()) {
      const std::optional<char> c = unescape(text, i);
      if (!c) return std::nullopt;
      value += *c;
    }
  }
  return std::nullopt;
}

// Boost reads a whole file without line numbers, so it is given one line at a time.
class ConfigFile {
 public:
  ConfigFile(std::string name, const KnownOptions& known, Config& config)
      : name_(std::move(name)), known_(known), config_(config) {}

  void read(const std::string& text) {
    std::istringstream lines = text_stream(text);
    std::string line;
    for (number_ = 1; !bad_.enough() && next_line(lines, line); ++number_) {
      if (!check_encoding(line)) break;
      if (!read_heading(line)) read_value(line);
    }
    bad_.throw_if_any();
  }

 private:
  std::string here() const { return join(name_, ":", number_); }

  bool check_encoding(const std::string& line) {
    const bool mark = number_ == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0;
    const bool carriage_return = !line.empty() && line.back() == '\r';
    if (mark) bad_.add(here(), ": the file starts with a byte order mark; save it as UTF-8 without one");
    if (carriage_return) bad_.add(here(), ": the lines end as on Windows; save the file with Unix line ends");
    return !mark && !carriage_return;
  }

  bool read_heading(const std::string& line) {
    const std::string text = line.substr(0, line.find('#'));
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string::npos || text[first] != '[') return false;
    const auto last = text.find_last_not_of(" \t");
    if (text[last] != ']') {
      bad_.add(here(), ": a section is written [name]");
      return true;
    }
    section_ = text.substr(first + 1, last - first - 1);
    skip_ = !known_.has_section(section_);
    if (skip_) bad_.add(here(), ": unknown section [", section_, "], ", known_.suggest_section(section_));
    return true;
  }

  void read_value(const std::string& line) {
    std::istringstream stream = text_stream(line);
    try {
      for (const auto& option : po::parse_config_file(stream, po::options_description(), true).options) {
        if (!skip_) store(option.string_key, option.value.front());
      }
    } catch (const po::invalid_config_file_syntax&) {
      bad_.add(here(), ": '", line, "' is neither a [section], a 'key = value' nor a # comment");
    }
  }

  void store(const std::string& name, std::string text) {
    const std::string key = section_.empty() ? name : section_ + "." + name;
    const auto options = known_.find(key);
    if (options.empty()) return bad_.add(here(), ": unknown key ", key, ", ", known_.suggest_key(key));
    const auto [first, inserted] = lines_.try_emplace(key, number_);
    if (!inserted) return bad_.add(here(), ": ", key, " was given before, in line ", first->second);
    if (text[0] == '"') {
      const auto unquoted = unquote(text);
      if (!unquoted) return bad_.add(here(), ": ", key, ": bad quotes; inside them \\x23 stands for #");
      text = *unquoted;
    }
    try {
      check_value(options, text);
      config_.set(key, text, here());
    } catch (const Error& error) {
      bad_.add(here(), ": ", key, " = ", text, ": ", error.what());
    }
  }

  std::string name_;
  const KnownOptions& known_;
  Config& config_;
  int64_t number_ = 0;
  std::string section_;
  bool skip_ = false;  // the section is unknown: its keys are not reported one by one
  std::map<std::string, int64_t> lines_;
  Violations bad_;
};

}  // namespace

void read_config_text(const std::string& text, const std::string& name,
                      const std::vector<const OptionSection*>& known, Config& config) {
  const KnownOptions options(known);
  ConfigFile(name, options, config).read(text);
}

void read_config_file(const std::string& path, const std::vector<const OptionSection*>& known,
                      Config& config) {
  constexpr size_t limit = 1 << 20;  // so that a wrong path, /dev/zero even, ends in a message
  check(!std::filesystem::is_directory(path), Exit::usage, path, " is a folder, not a configuration file");
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), Exit::usage, "cannot open configuration file ", path, ": ", std::strerror(errno));
  std::string text(limit, '\0');
  file.read(text.data(), limit);
  check(!file.bad(), Exit::io, "cannot read configuration file ", path);
  check(file.eof(), Exit::usage, path, " is longer than 1 MiB: not a configuration file");
  text.resize(static_cast<size_t>(file.gcount()));
  read_config_text(text, path, known, config);
}

}  // namespace tapestry
