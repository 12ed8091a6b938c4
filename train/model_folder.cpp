#include "train/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/known_options.h"
#include "base/violations.h"
#include "data/atomic_file.h"
#include "data/bpe_tokenizer.h"
#include "data/strict_json.h"
#include "data/tokenizer_json.h"
#include "layers/attention/attention.h"
#include "train/model_config.h"
#include "train/stored_values.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr int64_t kLongestConfig = 1 << 20;
constexpr const char* kOptions = "options";
constexpr const char* kGpt2Config = "gpt2_config";
constexpr const char* kTokenizer = "tokenizer";

constexpr const char* kModelFiles[] = {"config.json",
                                       "model.safetensors",
                                       "model.safetensors.index.json",
                                       kTokenizerJson,
                                       BpeTokenizer::kVocabFile,
                                       BpeTokenizer::kMergesFile,
                                       BpeTokenizer::kAddedTokensFile};

/// An option's text as the JSON value of its kind.
Json json_of(const Option& option, const std::string& text) {
  const auto parsed = [&]<class V>(V value) {
    parse_value(text, {}, value);
    return Json(value);
  };
  if (option.kind == "integer") return parsed(int64_t{});
  if (option.kind == "number") return parsed(double{});
  if (option.kind == "yes/no") return parsed(false);
  return text;
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Sets an option that is known and whose value is allowed; reports others.
void set_option(const KnownOptions& known, const std::string& key, const Json& value, const std::string& file,
                Config& config, Violations& wrong) {
  const auto found = known.find(key);
  wrong.require(!found.empty(), "'", file, "': unknown option ", shown(key), "; ", known.suggest_key(key));
  if (found.empty()) return;
  try {
    check_value(found, text_of(value));
  } catch (const Error& error) {
    wrong.add("'", file, "': ", key, " = ", value.dump(), ": ", error.what());
  }
  config.set(key, text_of(value), file);
}

/// The options that describe the model, by section.
Json options_json(const Config& config) {
  const std::vector<const OptionSection*> known_sections = run_sections();
  const KnownOptions known(known_sections);
  const auto model = config.get(model_options());
  std::set<std::string> sections = {"model"};
  for (const std::string& name : model.attention) sections.insert(attention_kind(name).section->name);
  const Config all = spelled_out(config);
  Json json = Json::object();
  for (const auto& [key, value] : all.values()) {
    const KeyParts parts = split_key(key);
    if (key != "data.seq_len" && !sections.contains(parts.section) && !is_layer_section(parts.section))
      continue;
    json[parts.section][parts.name] = json_of(*known.find(key).front(), value.text);
  }
  return json;
}

}  // namespace

std::string read_model_json(const std::string& folder) {
  const InputFile file(folder + "/config.json");
  check(file.size() <= kLongestConfig, Exit::input, "'", file.path(), "' has ", file.size(),
        " bytes, too many for a config");
  return file.read_all();
}

bool holds_model(const std::string& folder) {
  return std::any_of(std::begin(kModelFiles), std::end(kModelFiles),
                     [&](const char* name) { return fs::exists(fs::path(folder) / name); });
}

void remove_model(const std::string& folder) {
  for (const char* name : kModelFiles) fs::remove(fs::path(folder) / name);
}

bool is_model_folder(const std::string& folder) {
  const Json json = parse_strict_object(read_model_json(folder), "'" + folder + "/config.json'");
  return json.value("model_type", Json()) == kOwnModelType;
}

void export_model_folder(const std::string& folder, const LanguageModel& model, const Config& config,
                         const Tokenizer& tokenizer, const std::string& gpt2_config) {
  remove_model(folder);
  save_tokenizer(tokenizer, folder);
  const std::vector<NamedParameter> parameters = model.parameters();
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, parameter] : parameters) {
    const Tensor& value = parameter.value();
    tensors.push_back(
        {name, extent_of(value.shape()), {value.data<float>(), static_cast<size_t>(value.size())}});
  }
  write_safetensors(folder + "/model.safetensors", tensors);
  Json json = {{"model_type", kOwnModelType},
               {"architectures", {"TapestryLanguageModel"}},
               {"vocab_size", model.options().vocab_size},
               {kTokenizer, tokenizer.kind()},
               {kOptions, options_json(config)}};
  if (!gpt2_config.empty()) json[kGpt2Config] = Json::parse(gpt2_config);
  write_file_atomically(folder + "/config.json", json.dump(2) + "\n");
}

FolderSource::FolderSource(const std::string& folder) : weights_(folder) {
  path_ = folder;
  read_config();
  check_tensors();
}

void FolderSource::read_config() {
  const std::string file = path_ + "/config.json", where = "'" + file + "'";
  const Json json = parse_strict_object(read_model_json(path_), where);
  if (json.contains(kGpt2Config)) gpt2_config_ = json[kGpt2Config].dump();
  tokenizer_kind_ = text_of(json.value(kTokenizer, Json("bpe")));
  const Json sections = json.value(kOptions, Json());
  check(sections.is_object(), Exit::input, where, ": expected the object ", kOptions);
  const std::vector<const OptionSection*> known_sections = run_sections();
  const KnownOptions known(known_sections);
  Violations wrong;
  for (const auto& [section, options] : sections.items()) {
    wrong.require(options.is_object(), where, ": ", shown(section), " is no object");
    if (!options.is_object()) continue;
    for (const auto& [name, value] : options.items())
      set_option(known, join(section, ".", name), value, file, config_, wrong);
  }
  wrong.throw_if_any(Exit::input);
  fill_former_options(model_sections(), config_);
}

std::shared_ptr<const Tokenizer> FolderSource::read_tokenizer() const {
  if (tokenizer_kind_ == "ids") return nullptr;
  return load_tokenizer(tokenizer_kind_ == "bytes" ? "bytes" : path_);
}

/// What a model built from the options has, and nothing else.
void FolderSource::check_tensors() {
  std::unique_ptr<LanguageModel> model;
  try {
    model = std::make_unique<LanguageModel>(config_.get(model_options()), config_,
                                            ModuleContext{.initialise = false});
  } catch (const Error& error) {
    check(error.exit() == Exit::usage, error.exit(), error.what());
    fail(Exit::input, "'", path_, "/config.json': ", error.what());
  }
  for (const auto& [name, parameter] : model->parameters()) {
    check(weights_.has(name), Exit::input, "'", weights_.path(), "' has no tensor ", shown(name),
          ", which its config.json needs");
    const std::vector<int64_t>& stored = weights_.entry(name).shape;
    const std::vector<int64_t> wanted = extent_of(parameter.shape());
    check(stored == wanted, Exit::input, "'", weights_.path(), "': tensor ", shown(name), " is ",
          format_shape(stored), ", its config.json needs ", format_shape(wanted));
    shapes_[name] = parameter.shape();
  }
  for (const std::string& name : weights_.names())
    check(shapes_.contains(name), Exit::input, "'", weights_.path(), "' holds the tensor ", shown(name),
          ", which the model of its config.json does not have");
  tensors_used_ = static_cast<int64_t>(shapes_.size());
}

void FolderSource::read_values(const std::string& name, Tensor out) const {
  weights_.read(name, {out.mutable_data<float>(), static_cast<size_t>(out.size())});
}

}  // namespace tapestry
