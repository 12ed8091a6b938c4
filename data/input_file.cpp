#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tapestry {

// Opened without blocking, so that a pipe without a writer is an error and no wait for ever.
InputFile::InputFile(const std::string& path, Exit missing)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  const Exit exit = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? missing : Exit::io;
  check(fd_ >= 0, exit, "cannot open '", path, "': ", std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) ::close(fd_);
  check(regular, missing, "'", path, "' is not a regular file");
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(fd_); }

size_t InputFile::read_at(int64_t offset, void* data, size_t size) const {
  char* to = static_cast<char*>(data);
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, to + done, size - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, Exit::io, "cannot read '", path_, "': ", std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

std::string InputFile::read_all() const {
  std::string content(static_cast<size_t>(size_), '\0');
  const size_t got = read_at(0, content.data(), content.size());
  check(got == content.size(), Exit::io, "'", path_, "' became shorter while it was read");
  return content;
}

}  // namespace tapestry
