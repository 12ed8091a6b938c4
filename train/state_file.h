#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/fault_list.h"
#include "data/hdf5_file.h"
#include "data/verified_file.h"
#include "layers/language_model.h"

namespace tapestry {

extern const FileKind kStateFile;

/// A text that a model has read and goes on with: its decoding state after all tokens but the last few, and
/// those, at least one.
struct ReadText {
  DecodingState state;
  std::vector<int32_t> pending;
};

/// Writes one self-verifying HDF5 file, as checkpoints are. It belongs to the checkpoint with this SHA-256.
void save_state(const std::string& path, const std::string& checkpoint_sha256, const ReadText& text);

/// A decoding state's file, its hash already verified. All errors are Exit::input.
class StateFile {
 public:
  explicit StateFile(const std::string& path);

  const Hdf5File& file() const { return file_; }
  const std::string& sha256() const { return sha256_; }
  /// Of the checkpoint whose model read the text.
  std::string checkpoint_sha256() const {
    return file_.read_attribute<std::string>("/", "checkpoint_sha256");
  }
  /// Tokens that the state has taken in.
  int64_t position() const;
  std::vector<int32_t> pending() const;
  /// Datasets "layers/<layer>/<part>" in order.
  std::vector<std::string> parts() const;

 private:
  explicit StateFile(VerifiedFile file) : file_(std::move(file.hdf5)), sha256_(std::move(file.sha256)) {}

  Hdf5File file_;
  std::string sha256_;
};

/// The text in the file, for the model of the checkpoint that has this SHA-256: that of another is an
/// Error(input).
ReadText load_state(const std::string& path, const std::string& checkpoint_sha256,
                    const LanguageModel& model);

/// Adds everything that is wrong with such a file, as far as it shows without its checkpoint.
void find_state_file_faults(const std::string& path, FaultList& faults);

}  // namespace tapestry
