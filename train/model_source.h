#pragma once

#include <map>
#include <memory>
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
  /// Null if the source has none.
  const std::shared_ptr<const Tokenizer>& tokenizer() const { return tokenizer_; }
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

  std::string path_;
  Config config_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string gpt2_config_;
  std::map<std::string, Shape> shapes_;
  std::vector<Ignored> ignored_;
  int64_t tensors_used_ = 0;
};

/// Opens a checkpoint, or a folder: GPT-2 in the Hugging Face layout, or what export_model_folder wrote.
std::unique_ptr<ModelSource> open_model_source(const std::string& path);

/// Reads all parameters of a model that is built as the source's config says. One that is missing there or
/// has another shape is an Error(input).
void read_parameters(const ModelSource& source, const LanguageModel& model);

/// Throws Error(input) unless `data`, a path, whose tokenizer has the identity `identity`, was made with the
/// source's. A model without a tokenizer takes any.
void check_tokenizer(const ModelSource& source, const std::string& identity, const std::string& data);

/// The model as it is there.
LoadedModel load_model(const ModelSource& source, Device device = Device::cpu());

}  // namespace tapestry
