#include <boost/program_options.hpp>
#include <map>
#include <optional>

#include "base/known_options.h"
#include "base/options.h"
#include "base/violations.h"

namespace tapestry {
namespace {

namespace po = boost::program_options;

// One option or plain word. Boost is told of no option, so that it only takes the words apart; which of them
// take values, and what is unknown, is decided here, where every mistake can be collected.
struct Item {
  std::string key;  // empty for a plain word
  std::optional<std::string> text;
};

/// What Boost would refuse. It is not asked for its own message: that replaces placeholders in a text that
/// may hold them again, without end.
void check_values(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--") return;  // only plain words follow
    check(!word.starts_with("--") || word.find('=') + 1 != word.size(), Exit::usage,
          "nothing follows the equal sign of ", word);
  }
}

std::vector<Item> take_apart(const std::vector<std::string>& words) {
  namespace style = po::command_line_style;
  check_values(words);
  std::vector<Item> items;
  try {
    const auto parsed = po::command_line_parser(words)
                            .options(po::options_description())
                            .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                            .allow_unregistered()
                            .run();
    for (const auto& option : parsed.options) {
      const bool has_text = !option.value.empty();
      items.push_back({option.string_key, has_text ? std::optional(option.value.front()) : std::nullopt});
    }
  } catch (const po::error&) {
    fail(Exit::usage, "options are written --key value");
  }
  return items;
}

bool is_yes_no(const std::string& text) {
  try {
    bool value = false;
    parse_value(text, {}, value);
    return true;
  } catch (const Error&) {
    return false;
  }
}

class CommandLine {
 public:
  CommandLine(const std::vector<std::string>& words, const KnownOptions& known, Config& config)
      : items_(take_apart(words)), known_(known), words_key_(known.words_key()), config_(config) {}

  void read() {
    while (at_ < items_.size() && !bad_.enough()) {
      const Item& item = items_[at_++];
      item.key.empty() ? read_word(*item.text) : read_option(item);
    }
    for (const auto& [key, text] : given_) store(key, text);
    bad_.throw_if_any();
  }

 private:
  bool word_follows() const { return at_ < items_.size() && items_[at_].key.empty(); }

  void read_word(const std::string& word) {
    if (word.size() > 1 && word[0] == '-') {
      bad_.add("unexpected '", word, "': options are written --key value");
    } else if (!list_.empty()) {
      append(list_, word);
    } else if (words_key_.empty()) {
      bad_.add("unexpected '", word, "': every value follows the --key that it belongs to");
    } else if (known_.find(words_key_).front()->kind == "list") {
      append(words_key_, format_value(std::vector{word}));
    } else if (!given_.try_emplace(words_key_, word).second) {
      bad_.add("unexpected '", word, "': ", words_key_, " was given already");
    }
  }

  void read_option(const Item& item) {
    const auto options = known_.find(item.key);
    if (options.empty()) return skip_unknown(item.key);
    const std::string& kind = options.front()->kind;
    std::optional<std::string> text = item.text;
    if (kind == "yes/no") {
      if (!text) text = word_follows() && is_yes_no(*items_[at_].text) ? items_[at_++].text : "true";
    } else if (!text && word_follows()) {
      text = items_[at_++].text;
    }
    if (!text) return bad_.add("--", item.key, " needs a value (", kind, ")");
    if (kind == "list") {
      list_ = item.key;
      append(item.key, *text);
    } else if (!given_.try_emplace(item.key, *text).second) {
      bad_.add("--", item.key, " was given twice");
    }
  }

  void skip_unknown(const std::string& key) {
    bad_.add("unknown option --", key, ", ", known_.suggest_key(key));
    while (word_follows()) ++at_;
  }

  void append(const std::string& key, const std::string& text) {
    const auto [entry, first] = given_.try_emplace(key, text);
    if (!first) entry->second += "," + text;
  }

  void store(const std::string& key, const std::string& text) {
    try {
      check_value(known_.find(key), text);
      config_.set(key, text, "command line");
    } catch (const Error& error) {
      bad_.add("--", key, " ", text, ": ", error.what());
    }
  }

  std::vector<Item> items_;
  const KnownOptions& known_;
  std::string words_key_;
  Config& config_;
  size_t at_ = 0;
  std::string list_;  // the list-valued key that further words go to
  std::map<std::string, std::string> given_;
  Violations bad_;
};

}  // namespace

void read_command_line(const std::vector<std::string>& words, const std::vector<const OptionSection*>& known,
                       Config& config) {
  const KnownOptions options(known);
  CommandLine(words, options, config).read();
}

}  // namespace tapestry
