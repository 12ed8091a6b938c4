#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/atomic_file.h"
#include "data/hdf5_file.h"

namespace tapestry {

/// What a verified file is for. `name` is stored in it ("checkpoint", "token file"), so that one kind is
/// never taken for another; bad content leads to `exit`.
struct FileKind {
  std::string name;
  int64_t version = 1;  // newest layout that this program knows, and the one it writes
  Exit exit = Exit::input;
};

/// An HDF5 file that verifies itself: a 512-byte user block in front holds a magic, the length and the
/// SHA-256 of what follows, as text that `head -c 512` shows. libhdf5, which crashes on some malformed files,
/// sees only bytes that passed, in a child process first. The root has the attributes `format` (the kind's
/// name) and `format_version`.
///
/// The writer appears under its name whole, at commit(). It keeps the file in memory when `expected_bytes` is
/// at most `memory_limit`, else streams into the temporary file and hashes that at the end.
class VerifiedWriter {
 public:
  static constexpr int64_t kMemoryLimit = int64_t{256} << 20;

  VerifiedWriter(const std::string& path, const FileKind& kind, int64_t expected_bytes,
                 FileCalls calls = FileCalls::system(), int64_t memory_limit = kMemoryLimit);
  Hdf5File& hdf5() { return *hdf5_; }
  /// Returns the SHA-256 of the content.
  std::string commit();

 private:
  AtomicFile file_;
  bool in_memory_;
  std::optional<Hdf5File> hdf5_;
  std::string kind_;
};

struct VerifiedHeader {
  std::string kind;    // the kind's name
  int64_t length = 0;  // bytes after the user block
  std::string sha256;
};

/// Whether a readable file starts with the magic of a verified file, whole or not.
bool has_verified_magic(const std::string& path);
/// The user block of a file that has_verified_magic(), without a look at what follows it.
VerifiedHeader read_verified_header(const std::string& path, Exit exit);
/// Checks user block, length and SHA-256, without libhdf5. Errors carry `exit`.
VerifiedHeader verify_file(const std::string& path, Exit exit);

/// An open file and the SHA-256 of its content.
struct VerifiedFile {
  Hdf5File hdf5;
  std::string sha256;
};
/// verify_file() and probe_hdf5(), then opens the content and checks kind and version. What is verified is
/// what is opened, also where another process replaces the file meanwhile.
VerifiedFile open_verified(const std::string& path, const FileKind& kind);

}  // namespace tapestry
