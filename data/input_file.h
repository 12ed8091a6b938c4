#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace tapestry {

/// A regular file opened for reading. What is missing or no regular file (folder, pipe, device) is an
/// Error(`missing`), what cannot be opened or read an Error(Exit::io).
class InputFile {
 public:
  explicit InputFile(const std::string& path, Exit missing = Exit::input);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  /// Reads `size` bytes at `offset`; fewer only at the end of the file.
  size_t read_at(int64_t offset, void* data, size_t size) const;
  std::string read_all() const;

 private:
  std::string path_;
  int fd_;
  int64_t size_ = 0;
};

}  // namespace tapestry
