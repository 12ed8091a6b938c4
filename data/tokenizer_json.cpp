#include "data/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "base/violations.h"
#include "data/bpe_tokenizer.h"
#include "data/strict_json.h"

namespace tapestry {
namespace {

using Json = nlohmann::json;

/// Checks a tokenizer.json and collects what it says.
class Reader {
 public:
  Reader(const Json& json, const std::string& where) : json_(json), where_(where) {}

  Json vocabulary() {
    check_parts();
    Json vocab = model_.value("vocab", Json());
    wrong_.require(vocab.is_object(), where_, ": model.vocab is no object of token: id");
    if (vocab.is_object()) add_tokens(vocab);
    wrong_.throw_if_any(Exit::input);
    return vocab;
  }

  std::string merges() const {
    const Json merges = model_.value("merges", Json());
    check(merges.is_array(), Exit::input, where_, ": model.merges is no list");
    std::string text = "#version: 0.2\n";
    for (const Json& merge : merges) text += line_of(merge) + "\n";
    return text;
  }

 private:
  /// An object, empty if there is none.
  static Json object(const Json& from, const char* key) {
    const Json found = from.value(key, Json());
    return found.is_object() ? found : Json::object();
  }

  void check_parts() {
    model_ = object(json_, "model");
    const std::string type = text_of(model_.value("type", Json("BPE")));
    wrong_.require(type == "BPE" && model_.contains("merges"), where_, ": the model is ", type,
                   model_.contains("merges") ? "" : " without merges",
                   ", only byte-level BPE is implemented");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json value = model_.value(key, Json());
      wrong_.require(value.is_null() || value == "", where_, ": model.", key, " = ", value.dump(),
                     " is not implemented");
    }
    for (const char* key : {"byte_fallback", "ignore_merges"})
      wrong_.require(model_.value(key, Json(false)) == false, where_, ": model.", key, " is not implemented");
    const Json normalizer = json_.value("normalizer", Json());
    wrong_.require(normalizer.is_null(), where_, ": the normalizer is ",
                   text_of(object(json_, "normalizer").value("type", Json("none"))), ", GPT-2 has none");
    check_byte_level("pre_tokenizer", false);
    check_byte_level("post_processor", true);
    check_byte_level("decoder", true);
    const Json before = object(json_, "pre_tokenizer");
    for (const auto& [key, wanted] : {std::pair("add_prefix_space", false), std::pair("use_regex", true)})
      wrong_.require(before.value(key, Json(wanted)) == wanted, where_, ": pre_tokenizer.", key, " = ",
                     before.value(key, Json()).dump(), " is not implemented, GPT-2 has ",
                     Json(wanted).dump());
  }

  void check_byte_level(const char* part, bool may_miss) {
    const Json found = json_.value(part, Json());
    if (found.is_null() && may_miss) return;
    const std::string type = found.is_object() ? text_of(found.value("type", Json())) : found.dump();
    wrong_.require(type == "ByteLevel", where_, ": the ", part, " is ", type,
                   ", only ByteLevel is implemented");
  }

  static std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  }

  void add_tokens(Json& vocab) {
    for (const Json& token : json_.value("added_tokens", Json::array())) {
      const bool whole = token.is_object() && token.contains("content") && token["content"].is_string() &&
                         token.contains("id") && token["id"].is_number_unsigned();
      wrong_.require(whole, where_, ": an added token without id and content");
      if (!whole) continue;
      const auto content = token["content"].get<std::string>();
      wrong_.require(token.value("special", Json(false)) == true, where_, ": the added token ",
                     shown(content),
                     " is not special: it would split text in another way, which is not implemented");
      const Json known = vocab.value(content, token["id"]);
      wrong_.require(known == token["id"], where_, ": the added token ", shown(content), " has the id ",
                     token["id"].dump(), ", the vocabulary says ", known.dump());
      vocab[content] = token["id"];
    }
  }

  /// "a b" of a merge written so or as ["a", "b"].
  std::string line_of(const Json& merge) const {
    if (merge.is_string()) return merge.get<std::string>();
    const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    check(pair, Exit::input, where_, ": the merge ", shown(merge.dump()), " is no pair of symbols");
    return merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }

  const Json& json_;
  const std::string& where_;
  Json model_;
  Violations wrong_;
};

const Json& byte_level() {
  static const Json part = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return part;
}

}  // namespace

std::map<std::string, std::string> bpe_files_of(const std::string& text, const std::string& origin) {
  const std::string path = origin + "/" + kTokenizerJson, where = "'" + path + "'";
  const Json json = parse_strict_object(text, where);
  Reader reader(json, where);
  const std::string vocab = reader.vocabulary().dump();
  const BpeVocabulary vocabulary = parse_bpe(vocab, reader.merges(), path);
  return {{BpeTokenizer::kVocabFile, format_vocab_json(vocabulary)},
          {BpeTokenizer::kMergesFile, format_merges(vocabulary)}};
}

std::string tokenizer_json_of(const Tokenizer& bpe) {
  const auto files = bpe.files();
  const std::string &vocab = files.at(BpeTokenizer::kVocabFile),
                    &merges = files.at(BpeTokenizer::kMergesFile);
  nlohmann::ordered_json json = {{"version", "1.0"},
                                 {"truncation", nullptr},
                                 {"padding", nullptr},
                                 {"added_tokens", Json::array()},
                                 {"normalizer", nullptr},
                                 {"pre_tokenizer", byte_level()},
                                 {"post_processor", byte_level()},
                                 {"decoder", byte_level()}};
  for (const int32_t id : special_tokens(parse_bpe(vocab, merges, kTokenizerJson)))
    json["added_tokens"].push_back({{"id", id},
                                    {"content", bpe.bytes_of(id)},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  auto& model = json["model"];
  model = {{"type", "BPE"},
           {"dropout", nullptr},
           {"unk_token", nullptr},
           {"continuing_subword_prefix", ""},
           {"end_of_word_suffix", ""},
           {"fuse_unk", false},
           {"byte_fallback", false},
           {"ignore_merges", false}};
  model["vocab"] = nlohmann::ordered_json::parse(vocab);
  model["merges"] = Json::array();
  for (size_t at = merges.find('\n') + 1; at < merges.size();) {
    const size_t end = std::min(merges.find('\n', at), merges.size());
    model["merges"].push_back(merges.substr(at, end - at));
    at = end + 1;
  }
  return json.dump() + "\n";
}

}  // namespace tapestry
