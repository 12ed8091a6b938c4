#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/hdf5_file.h"
#include "data/tokenizer.h"
#include "data/verified_file.h"
#include "layers/language_model.h"
#include "optim/optimizer.h"
#include "train/training_state.h"

namespace tapestry {

extern const FileKind kCheckpointFile;

/// What goes into a checkpoint. Without an optimizer it holds weights only: good for everything but resuming.
struct CheckpointParts {
  const Module& model;
  const Tokenizer& tokenizer;
  std::string config;  // INI text of the resolved options
  Optimizer* optimizer = nullptr;
  TrainingState state = {};
  std::string gpt2_config = {};  // config.json of the GPT-2 that the model was imported from, if it was
};

/// Writes one self-verifying HDF5 file (data/verified_file.h); an older file of the name survives any
/// failure. A parameter that is not finite is Error(nonfinite): such weights never replace good ones.
void save_checkpoint(const std::string& path, const CheckpointParts& parts,
                     FileCalls calls = FileCalls::system(),
                     int64_t memory_limit = VerifiedWriter::kMemoryLimit);

/// A checkpoint open for reading, its hash already verified. All errors are Exit::checkpoint.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& path);

  const std::string& path() const { return path_; }
  /// SHA-256 of the content, which names exactly this checkpoint.
  const std::string& sha256() const { return sha256_; }
  const Hdf5File& file() const { return file_; }
  const Config& config() const;
  std::shared_ptr<const Tokenizer> tokenizer() const;
  TrainingState state() const;
  /// Empty unless the model was imported.
  std::string gpt2_config() const { return file_.has("gpt2_config") ? file_.read_text("gpt2_config") : ""; }
  bool has_optimizer() const { return file_.has("optimizer"); }

  /// Reads the values in place, tensor by tensor. Parameters that are missing, extra or of another shape are
  /// errors that name them.
  void load_parameters(const Module& model) const;
  void load_optimizer(Optimizer& optimizer) const;
  std::map<std::string, Shape> parameter_shapes() const;
  /// Reads one parameter into a tensor of its shape.
  void read_parameter(const std::string& name, Tensor out) const;
  /// What has no place in a checkpoint, or is missing, in the group: one line each.
  std::vector<std::string> faults_of_names(const std::string& group, std::set<std::string> wanted) const;

 private:
  Checkpoint(const std::string& path, VerifiedFile file);

  std::string path_;
  Hdf5File file_;
  std::string sha256_;
  mutable std::optional<Config> config_;  // once somebody asked for it
};

/// The model that a checkpoint's config describes; the values of its parameters are undefined.
std::unique_ptr<LanguageModel> make_unset_model(const Checkpoint& checkpoint, Device device = Device::cpu());

/// A model with everything that its checkpoint says about it.
struct LoadedModel {
  Config config;
  std::unique_ptr<LanguageModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  TrainingState state;
  std::string sha256;  // of the checkpoint
};
LoadedModel load_model(const std::string& path, Device device = Device::cpu());

}  // namespace tapestry
