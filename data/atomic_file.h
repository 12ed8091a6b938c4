#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tapestry {

/// The system calls of an AtomicFile. Tests replace some, to make the n-th one fail or fall short.
struct FileCalls {
  std::function<int(const char* path, int flags, mode_t mode)> open;
  std::function<ssize_t(int fd, const void* data, size_t size, off_t offset)> pwrite;
  std::function<ssize_t(int fd, void* data, size_t size, off_t offset)> pread;
  std::function<int(int fd)> fsync;
  std::function<int(int fd)> close;
  std::function<int(const char* from, const char* to)> rename;
  std::function<int(const char* from, const char* to)> link;
  std::function<int(const char* path)> unlink;

  static FileCalls system();
};

/// A file that appears under its name whole or not at all. Writes go to `<name>.tmp-<pid>` in the same
/// folder; commit() makes them durable and renames. Until then, and after any error, an older file of that
/// name stays as it was; the destructor removes an uncommitted temporary file. Errors are Error(Exit::io).
/// A path that is a symbolic link is followed.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path, FileCalls calls = FileCalls::system());
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  /// For a library that writes by name; it may truncate the file but must not replace it.
  const std::string& temporary_path() const { return temporary_; }

  void append(const void* data, size_t size);
  void append(std::string_view text) { append(text.data(), text.size()); }
  void write_at(int64_t offset, const void* data, size_t size);
  /// Reads up to `size` bytes; fewer only at the end of the file.
  size_t read_at(int64_t offset, void* data, size_t size);
  /// Takes the content of a file that nobody writes to any more, in place of its own: the very same file
  /// under a second name where the file system has hard links, else a copy. Nothing is written after this.
  void share(const std::string& other);

  /// Syncs, closes, renames, syncs the folder. Then removes what dead processes left of the same file.
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* what) const;
  int open_retrying(const std::string& path, int flags);
  void sync_folder();
  void remove_leftovers() const;

  FileCalls calls_;
  std::string path_, folder_, temporary_;
  int fd_ = -1;
  int64_t end_ = 0;
  bool committed_ = false;
};

/// The whole file in one call.
void write_file_atomically(const std::string& path, std::string_view content);
/// Makes `path` hold what `other` holds; see AtomicFile::share().
void share_file_atomically(const std::string& other, const std::string& path,
                           FileCalls calls = FileCalls::system());

}  // namespace tapestry
