#include "data/bpe_vocabulary.h"

#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "data/strict_json.h"
#include "data/utf8.h"

namespace tapestry {
namespace {

using Ids = std::unordered_map<std::string, int32_t>;

bool is_printable_latin1(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::string symbols_of(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += byte_symbols()[static_cast<unsigned char>(byte)];
  return text;
}

std::string bytes_of_symbols(const std::string& symbols, const std::string& where) {
  static const auto byte_of = [] {
    std::unordered_map<char32_t, char> map;
    for (size_t byte = 0; byte < 256; ++byte) {
      size_t at = 0;
      map[next_utf8(byte_symbols()[byte], at)] = static_cast<char>(byte);
    }
    return map;
  }();
  std::string bytes;
  for (size_t at = 0; at < symbols.size();) {
    const auto found = byte_of.find(next_utf8(symbols, at));
    check(found != byte_of.end(), Exit::input, where, ": the merged token '", symbols,
          "' has a character that stands for no byte");
    bytes += found->second;
  }
  return bytes;
}

/// Takes the events of the JSON parser one by one: a value that it builds keeps the last of equal keys, takes
/// any nesting, and is slow for a whole vocabulary.
class IdEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit IdEvents(const std::string& where) : where_(where) {}
  Ids take() { return std::move(ids_); }

  bool start_object(std::size_t) override {
    if (std::exchange(inside_, true)) refuse();
    return true;
  }
  bool key(std::string& key) override {
    const auto [at, is_new] = ids_.try_emplace(key, 0);
    check(is_new, Exit::input, where_, ": token '", key, "' is there twice");
    key_ = &at->first;
    id_ = &at->second;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!inside_ || value >= INT32_MAX) refuse();
    *id_ = static_cast<int32_t>(value);
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { refuse(); }
  bool end_array() override { refuse(); }
  bool string(std::string&) override { refuse(); }
  bool null() override { refuse(); }
  bool boolean(bool) override { refuse(); }
  bool number_integer(number_integer_t) override { refuse(); }
  bool number_float(number_float_t, const std::string&) override { refuse(); }
  bool binary(binary_t&) override { refuse(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    fail(Exit::input, where_, ": ", json_message(error));
  }

 private:
  [[noreturn]] void refuse() const {
    check(inside_ && key_, Exit::input, where_, ": expected one object of token: id");
    fail(Exit::input, where_, ": the id of '", *key_, "' is not a whole number from 0 on");
  }

  const std::string& where_;
  Ids ids_;
  bool inside_ = false;
  const std::string* key_ = nullptr;  // and its id, of the entry that is being read
  int32_t* id_ = nullptr;
};

Ids parse_ids(const std::string& text, const std::string& where) {
  IdEvents events(where);
  nlohmann::json::sax_parse(text, &events);
  return events.take();
}

void add_ids(const Ids& added, Ids& ids, const std::string& origin) {
  for (const auto& [token, id] : added) {
    const int32_t known = ids.try_emplace(token, id).first->second;
    check(known == id, Exit::input, origin, "/added_tokens.json: '", token, "' has the id ", id,
          ", vocab.json says ", known);
  }
}

std::vector<std::string> symbols_by_id(const Ids& ids, const std::string& where) {
  check(!ids.empty(), Exit::input, where, ": no tokens");
  std::vector<const std::string*> symbols(ids.size(), nullptr);
  for (const auto& [symbol, id] : ids) {
    check(static_cast<size_t>(id) < ids.size(), Exit::input, where, ": id ", id, " of '", symbol,
          "', but there are only ", ids.size(), " tokens: ids must have no holes");
    const auto& other = symbols[static_cast<size_t>(id)];
    check(!other, Exit::input, where, ": id ", id, " stands for two tokens, '", other ? *other : "",
          "' and '", symbol, "'");
    symbols[static_cast<size_t>(id)] = &symbol;
  }
  std::vector<std::string> by_id;
  for (const std::string* symbol : symbols) by_id.push_back(*symbol);
  return by_id;
}

/// Where something stands, for messages: a text for each of 50,000 lines would take longer than reading them.
struct Place {
  const std::string& file;
  const char* what;
  size_t number;
};
std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << place.file << place.what << place.number;
}

int32_t id_of(const Ids& ids, const std::string& symbol, const Place& where) {
  const auto found = ids.find(symbol);
  check(found != ids.end(), Exit::input, where, ": '", symbol, "' is not in the vocabulary");
  return found->second;
}

BpeVocabulary::Merge parse_merge(const std::string& line, const Ids& ids, const Place& where) {
  check(line.find('\r') == std::string::npos, Exit::input, where,
        ": Windows line end; convert the file to plain newlines");
  const size_t space = line.find(' ');
  const bool two_words = space != std::string::npos && space > 0 && space + 1 < line.size() &&
                         line.find(' ', space + 1) == std::string::npos;
  check(two_words, Exit::input, where, ": expected two symbols with one space between, found '", line, "'");
  const std::string left = line.substr(0, space), right = line.substr(space + 1);
  return {id_of(ids, left, where), id_of(ids, right, where), id_of(ids, left + right, where)};
}

std::vector<BpeVocabulary::Merge> parse_merges(const std::string& text, const Ids& ids,
                                               const std::string& file) {
  std::vector<BpeVocabulary::Merge> merges;
  std::unordered_map<uint64_t, size_t> line_of;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const Place where{file, ":", ++number};
    at = end + 1;
    if (number == 1) {
      check(line.starts_with("#version"), Exit::input, where, ": expected '#version: ...', found '", line,
            "'");
      continue;
    }
    const BpeVocabulary::Merge merge = parse_merge(line, ids, where);
    const uint64_t pair = static_cast<uint64_t>(merge.left) << 32 | static_cast<uint32_t>(merge.right);
    const auto [first, is_new] = line_of.emplace(pair, number);
    check(is_new, Exit::input, where, ": the pair '", line, "' is on line ", first->second, " already");
    merges.push_back(merge);
  }
  check(number > 0, Exit::input, file, ":1: expected '#version: ...', found nothing");
  return merges;
}

/// Whether each token is one that encoding never gives.
std::vector<bool> are_special(const BpeVocabulary& vocabulary) {
  std::vector<bool> special(vocabulary.tokens.size(), true);
  for (const int32_t id : vocabulary.byte_ids) special[static_cast<size_t>(id)] = false;
  for (const auto& merge : vocabulary.merges) special[static_cast<size_t>(merge.result)] = false;
  return special;
}

}  // namespace

const std::array<std::string, 256>& byte_symbols() {
  static const auto symbols = [] {
    std::array<std::string, 256> all;
    char32_t spare = 0x100;
    for (int byte = 0; byte < 256; ++byte)
      append_utf8(is_printable_latin1(byte) ? static_cast<char32_t>(byte) : spare++,
                  all[static_cast<size_t>(byte)]);
    return all;
  }();
  return symbols;
}

BpeVocabulary byte_vocabulary() {
  BpeVocabulary vocabulary;
  for (const bool printable : {true, false})
    for (int byte = 0; byte < 256; ++byte) {
      if (is_printable_latin1(byte) != printable) continue;
      vocabulary.byte_ids[static_cast<size_t>(byte)] = static_cast<int32_t>(vocabulary.tokens.size());
      vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
    }
  return vocabulary;
}

BpeVocabulary parse_bpe(const std::string& vocab_json, const std::string& merges, const std::string& origin,
                        const std::string& added_tokens) {
  const std::string vocab_file = origin + "/vocab.json";
  Ids ids = parse_ids(vocab_json, vocab_file);
  if (!added_tokens.empty()) add_ids(parse_ids(added_tokens, origin + "/added_tokens.json"), ids, origin);
  BpeVocabulary vocabulary;
  vocabulary.tokens = symbols_by_id(ids, vocab_file);
  for (size_t byte = 0; byte < 256; ++byte)
    vocabulary.byte_ids[byte] = id_of(ids, byte_symbols()[byte], {vocab_file, ": symbol of byte ", byte});
  vocabulary.merges = parse_merges(merges, ids, origin + "/merges.txt");
  const std::vector<bool> special = are_special(vocabulary);
  for (size_t id = 0; id < special.size(); ++id)
    if (!special[id]) vocabulary.tokens[id] = bytes_of_symbols(vocabulary.tokens[id], vocab_file);
  return vocabulary;
}

std::vector<int32_t> special_tokens(const BpeVocabulary& vocabulary) {
  const std::vector<bool> special = are_special(vocabulary);
  std::vector<int32_t> ids;
  for (size_t id = 0; id < special.size(); ++id)
    if (special[id]) ids.push_back(static_cast<int32_t>(id));
  return ids;
}

std::string format_vocab_json(const BpeVocabulary& vocabulary) {
  const std::vector<bool> special = are_special(vocabulary);
  std::string text = "{";
  for (size_t id = 0; id < special.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    text += join(id ? ", " : "", nlohmann::json(special[id] ? token : symbols_of(token)).dump(), ": ", id);
  }
  return text + "}\n";
}

std::string format_merges(const BpeVocabulary& vocabulary) {
  std::string text = "#version: 0.2\n";
  for (const auto& merge : vocabulary.merges)
    text += symbols_of(vocabulary.tokens[static_cast<size_t>(merge.left)]) + " " +
            symbols_of(vocabulary.tokens[static_cast<size_t>(merge.right)]) + "\n";
  return text;
}

}  // namespace tapestry
