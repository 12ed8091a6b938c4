#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "train/checkpoint.h"

namespace tapestry {

/// A model in a file or folder that another is made from. What it says of itself is read and checked at once,
/// its weights one at a time, so that a model is never in memory twice.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  /// The file or folder.
  const std::string& path() const { return path_; }
  /// [model], the sections of the attentions that it uses, and data.seq_len.
  const Config& config() const { return config_; }
  /// Null if the source has none. Read when it is asked for: one that is not to be used may have faults.
  const std::shared_ptr<const Tokenizer>& tokenizer() const;
  /// The config.json of the GPT-2 that it is or was; empty if it never was one.
  const std::string& gpt2_config() const { return gpt2_config_; }

  /// The parameters, under the names that a LanguageModel gives them.
  const std::map<std::string, Shape>& shapes() const { return shapes_; }
  /// A value that is not finite is an Error(nonfinite).
  void read(const std::string& name, Tensor out) const;

  /// What was left out on purpose, and why.
  struct Ignored {
    std::string tensor, reason;
  };
  const std::vector<Ignored>& ignored() const { return ignored_; }
  /// Tensors of the file or files that are used.
  int64_t tensors_used() const { return tensors_used_; }
  /// Numbers that shapes() promises.
  int64_t parameter_count() const;

 protected:
  virtual void read_values(const std::string& name, Tensor out) const = 0;
  virtual std::shared_ptr<const Tokenizer> read_tokenizer() const = 0;

  std::string path_;
  Config config_;
  std::string gpt2_config_;
  std::map<std::string, Shape> shapes_;
  std::vector<Ignored> ignored_;
  int64_t tensors_used_ = 0;

 private:
  mutable std::optional<std::shared_ptr<const Tokenizer>> tokenizer_;  // once it was asked for
};

/// Opens a checkpoint, or a folder: GPT-2 in the Hugging Face layout, or what export_model_folder wrote.
std::unique_ptr<ModelSource> open_model_source(const std::string& path);

/// Reads all parameters of a model that is built as the source's config says. One that is missing there or
/// has another shape is an Error(input).
void read_parameters(const ModelSource& source, const LanguageModel& model);

/// The model as it is there.
LoadedModel load_model(const ModelSource& source, Device device = Device::cpu());

/// What load_any_model takes, for the help of an option.
inline constexpr const char* kAnyModel =
    "a checkpoint, a folder with GPT-2 in the Hugging Face layout or one that convert wrote";
/// A folder gives neither sha256 nor state; one without a tokenizer gets one of ids.
LoadedModel load_any_model(const std::string& path, Device device = Device::cpu());

}  // namespace tapestry
