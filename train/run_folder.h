#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tapestry {

/// A lock on a file, for as long as the object lives and the process runs, however it ends.
class FileLock {
 public:
  /// Creates the file if need be and notes the owner in it. A file that is locked is Exit::busy.
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

/// The folder of one training run: config.ini, metrics.csv, last.h5, best.h5, step-<number>.h5. It is locked
/// for as long as the object lives.
class RunFolder {
 public:
  enum class Mode { fresh, resume, overwrite };

  /// Creates and locks the folder. Fresh: refuses a folder that holds a run (Exit::usage); resume: needs one
  /// (Exit::checkpoint); overwrite: leaves what is there until `clear`. A folder in use is Exit::busy.
  RunFolder(const std::filesystem::path& path, Mode mode);

  /// Removes the files of a run.
  void clear() const;

  std::filesystem::path config() const { return path_ / "config.ini"; }
  std::filesystem::path metrics() const { return path_ / "metrics.csv"; }
  std::filesystem::path last() const { return path_ / "last.h5"; }
  std::filesystem::path best() const { return path_ / "best.h5"; }
  std::filesystem::path step(int64_t step) const;
  const std::filesystem::path& path() const { return path_; }

  /// Numbered checkpoints, oldest first.
  std::vector<std::filesystem::path> numbered() const;
  /// Removes the oldest numbered checkpoints until `keep` are left.
  void prune(int64_t keep) const;

 private:
  std::filesystem::path path_;
  FileLock lock_;
};

}  // namespace tapestry
