#include "train/gpt2_config.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/violations.h"
#include "data/strict_json.h"

namespace tapestry {
namespace {

using Json = nlohmann::json;

constexpr double kMost = 1 << 30;

/// A key, and the name that newer files may give it.
struct Key {
  const char* name;
  const char* alias;
};
constexpr Key kVocabSize{"vocab_size", nullptr};
constexpr Key kPositions{"n_positions", "max_position_embeddings"};
constexpr Key kWidth{"n_embd", "hidden_size"};
constexpr Key kLayers{"n_layer", "num_hidden_layers"};
constexpr Key kHeads{"n_head", "num_attention_heads"};

/// GPT-2's name of each of our activations, the one to write first.
const std::multimap<std::string, std::string>& activations() {
  static const std::multimap<std::string, std::string> names = {{"gelu", "gelu_new"},
                                                                {"gelu", "gelu_pytorch_tanh"},
                                                                {"gelu", "gelu_fast"},
                                                                {"gelu_exact", "gelu"},
                                                                {"gelu_exact", "gelu_python"}};
  return names;
}

/// Keys that change what the model computes, with the only value that is implemented. It is also what a file
/// without the key means.
const std::map<std::string, Json>& only_values() {
  static const std::map<std::string, Json> values = {
      {"scale_attn_weights", true},       {"scale_attn_by_inverse_layer_idx", false},
      {"reorder_and_upcast_attn", false}, {"add_cross_attention", false},
      {"is_encoder_decoder", false},      {"chunk_size_feed_forward", 0},
      {"pruned_heads", Json::object()},   {"quantization_config", nullptr}};
  return values;
}

class ConfigReader {
 public:
  ConfigReader(const Json& json, const std::string& where) : json_(json), where_(where) {}

  ModelOptions read() {
    check_model_type();
    for (const auto& [key, value] : only_values()) check_only_value(key, value);
    ModelOptions model{.attention = {"standard"}, .positions = "learned", .bias = true};
    model.vocab_size = size(kVocabSize);
    model.n_ctx = size(kPositions);
    model.n_embd = size(kWidth);
    model.n_layer = size(kLayers);
    model.n_head = size(kHeads);
    model.n_inner = given("n_inner") ? size({"n_inner", nullptr}) : 0;
    model.activation = activation();
    model.norm_eps = number("layer_norm_epsilon", model.norm_eps, 1e-30, 1);
    model.dropout = number("resid_pdrop", 0.1, 0, 0.99);
    model.tie_embeddings = yes_no("tie_word_embeddings", true);
    wrong_.require(model.n_layer <= 1000, where_, ": n_layer = ", model.n_layer, ", at most 1000 are built");
    wrong_.throw_if_any(Exit::input);
    check(model.n_embd % model.n_head == 0, Exit::input, where_, ": n_head = ", model.n_head,
          " does not divide n_embd = ", model.n_embd);
    return model;
  }

 private:
  bool given(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }

  void check_model_type() {
    const Json type = json_.value("model_type", Json());
    wrong_.require(type == "gpt2", where_, ": model_type is ", type.dump(), ", only \"gpt2\" is implemented");
  }

  void check_only_value(const std::string& key, const Json& value) {
    const Json found = json_.value(key, value);
    wrong_.require(found == value || found.is_null(), where_, ": ", key, " = ", found.dump(),
                   " is not implemented, only ", value.dump());
  }

  /// The value of a key or its alias, which must agree; null if neither is there.
  Json either(const Key& key) {
    const Json named = json_.value(key.name, Json());
    const Json aliased = key.alias ? json_.value(key.alias, Json()) : Json();
    if (named.is_null()) return aliased;
    wrong_.require(aliased.is_null() || named == aliased, where_, ": ", key.name, " = ", named.dump(),
                   " and ", key.alias, " = ", aliased.dump(), " contradict each other");
    return named;
  }

  /// 1, so that checking can go on, if there is none.
  int64_t size(const Key& key) {
    const Json value = either(key);
    const bool good = value.is_number_unsigned() && value >= 1 && value <= kMost;
    wrong_.require(good, where_, ": ", key.name, value.is_null() ? " is missing" : " = " + value.dump(),
                   ", expected a whole number from 1 on");
    return good ? value.get<int64_t>() : 1;
  }

  double number(const char* key, double otherwise, double least, double most) {
    if (!given(key)) return otherwise;
    const Json& value = json_[key];
    const bool good = value.is_number() && value >= least && value <= most;
    wrong_.require(good, where_, ": ", key, " = ", value.dump(), ", expected a number from ", least, " to ",
                   most);
    return good ? value.get<double>() : otherwise;
  }

  bool yes_no(const char* key, bool otherwise) {
    if (!given(key)) return otherwise;
    wrong_.require(json_[key].is_boolean(), where_, ": ", key, " = ", json_[key].dump(),
                   ", expected true or false");
    return json_[key].is_boolean() ? json_[key].get<bool>() : otherwise;
  }

  std::string activation() {
    const Json value = json_.value("activation_function", Json("gelu_new"));
    for (const auto& [ours, theirs] : activations()) {
      if (value == theirs) return ours;
    }
    wrong_.add(where_, ": activation_function = ", value.dump(),
               " is not implemented, only gelu_new (tanh) and gelu (exact)");
    return "gelu";
  }

  const Json& json_;
  const std::string& where_;
  Violations wrong_;
};

/// Sets the key under the name, or names, that the file has it under.
void put(Json& json, const Key& key, const Json& value) {
  const bool aliased = key.alias && json.contains(key.alias);
  if (aliased) json[key.alias] = value;
  if (!aliased || json.contains(key.name)) json[key.name] = value;
}

/// Null stands for four times the width.
void put_inner(Json& json, const ModelOptions& model) {
  const Json was = json.value("n_inner", Json());
  const bool same = was.is_null() ? model.inner() == 4 * model.n_embd : was == model.inner();
  if (!same) json["n_inner"] = model.inner();
}

Json new_config(const ModelOptions& model, std::optional<int32_t> end_of_text) {
  const Json end = end_of_text ? Json(*end_of_text) : Json();
  return {{"model_type", "gpt2"},        {"architectures", {"GPT2LMHeadModel"}},
          {"initializer_range", 0.02},   {"resid_pdrop", model.dropout},
          {"embd_pdrop", model.dropout}, {"attn_pdrop", 0.0},
          {"bos_token_id", end},         {"eos_token_id", end},
          {"n_inner", nullptr}};
}

}  // namespace

ModelOptions parse_gpt2_config(const std::string& text, const std::string& where) {
  const Json json = parse_strict_object(text, where);
  return ConfigReader(json, where).read();
}

std::string format_gpt2_config(const ModelOptions& model, const std::string& original,
                               std::optional<int32_t> end_of_text) {
  const bool fresh = original.empty();
  Json json = fresh ? new_config(model, end_of_text) : parse_strict_object(original, "config.json");
  const ModelOptions was = fresh ? ModelOptions{} : parse_gpt2_config(original, "config.json");
  put(json, kVocabSize, model.vocab_size);
  put(json, kPositions, model.n_ctx);
  put(json, kWidth, model.n_embd);
  put(json, kLayers, model.n_layer);
  put(json, kHeads, model.n_head);
  if (json.contains("n_ctx")) json["n_ctx"] = model.n_ctx;  // historical, follows n_positions
  for (const char* key : {"torch_dtype", "dtype"})  // of the weights beside it, by which others load them
    if (json.contains(key)) json[key] = "float32";
  put_inner(json, model);
  if (fresh || model.activation != was.activation)
    json["activation_function"] = activations().find(model.activation)->second;
  if (fresh || model.norm_eps != was.norm_eps) json["layer_norm_epsilon"] = model.norm_eps;
  if (fresh || model.tie_embeddings != was.tie_embeddings) json["tie_word_embeddings"] = model.tie_embeddings;
  return json.dump(2) + "\n";
}

}  // namespace tapestry
