#pragma once

#include "data/safetensors.h"
#include "train/model_source.h"

namespace tapestry {

inline constexpr const char* kOwnModelType = "tapestry";

/// Whether a folder has files of a model, ours or a GPT-2.
bool holds_model(const std::string& folder);
/// Removes them.
void remove_model(const std::string& folder);

/// The content of config.json in a folder; one that is too long for a config is an Error(input).
std::string read_model_json(const std::string& folder);

/// Writes any model of ours into a folder: model.safetensors with every parameter (F32) under the name that
/// the modules give it, the tokenizer's files, and config.json last, with model_type "tapestry", the options
/// of the model by section, and `gpt2_config`, the config.json that the model came with, unless empty. It
/// takes the place of a model that is there.
void export_model_folder(const std::string& folder, const LanguageModel& model, const Config& config,
                         const Tokenizer& tokenizer, const std::string& gpt2_config);

/// Such a folder. Options that are unknown or bad, and tensors that are missing, unknown or of another shape
/// than the options say, are an Error(input).
class FolderSource : public ModelSource {
 public:
  explicit FolderSource(const std::string& folder);
  void read_values(const std::string& name, Tensor out) const override;
  std::shared_ptr<const Tokenizer> read_tokenizer() const override;

 private:
  void read_config();
  void check_tensors();

  SafetensorsModel weights_;
  std::string tokenizer_kind_;
};

/// Whether config.json in a folder says that it is one.
bool is_model_folder(const std::string& folder);

}  // namespace tapestry
