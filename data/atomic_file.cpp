#include "data/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/folder.h"
#include "data/input_file.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTemporaryMark = ".tmp-";
constexpr size_t kLongestName = 255;

// Names may be 255 bytes long; the mark has to fit too.
std::string temporary_stem(const std::string& name) {
  constexpr size_t room_for_mark = 24;
  return name.substr(0, kLongestName - room_for_mark) + kTemporaryMark;
}

bool is_dead_process(std::string_view digits) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || end != digits.data() + digits.size() || pid <= 0) return false;
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

fs::path follow_links(const std::string& path) {
  std::error_code error;
  fs::path target = path;
  constexpr int most_links = 40;
  for (int i = 0; i < most_links && fs::is_symlink(target, error); ++i) {
    const fs::path next = fs::read_symlink(target, error);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

}  // namespace

FileCalls FileCalls::system() {
  return {
      .open = [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
      .pwrite = ::pwrite,
      .pread = ::pread,
      .fsync = ::fsync,
      .close = ::close,
      .rename = [](const char* from, const char* to) { return std::rename(from, to); },
      .link = ::link,
      .unlink = ::unlink,
  };
}

AtomicFile::AtomicFile(const std::string& path, FileCalls calls) : calls_(std::move(calls)) {
  const fs::path target = follow_links(path);
  path_ = target.string();
  folder_ = target.has_parent_path() ? target.parent_path().string() : ".";
  std::error_code ignored;
  const fs::file_status status = fs::status(target, ignored);
  check(!target.filename().empty() && !fs::is_directory(status), Exit::io, "cannot write '", path,
        "': it is a folder; name a file");
  check(!fs::exists(status) || fs::is_regular_file(status), Exit::io, "cannot write '", path,
        "': it is not a regular file");
  temporary_ = join(folder_, "/", temporary_stem(target.filename().string()), ::getpid());
  // Never opened for writing if it is there: a dead process of the same number may have left a second name of
  // a whole file.
  calls_.unlink(temporary_.c_str());
  fd_ = open_retrying(temporary_, O_RDWR | O_CREAT | O_EXCL);
  if (fd_ < 0) fail_with_errno("create");
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) calls_.close(fd_);
  if (!committed_) calls_.unlink(temporary_.c_str());
}

int AtomicFile::open_retrying(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = calls_.open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

void AtomicFile::append(const void* data, size_t size) { write_at(end_, data, size); }

void AtomicFile::write_at(int64_t offset, const void* data, size_t size) {
  const char* from = static_cast<const char*>(data);
  for (size_t done = 0; done < size;) {
    const ssize_t written = calls_.pwrite(fd_, from + done, size - done, offset + static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) fail_with_errno("write");
    done += static_cast<size_t>(written);
  }
  end_ = std::max(end_, offset + static_cast<int64_t>(size));
}

size_t AtomicFile::read_at(int64_t offset, void* data, size_t size) {
  char* to = static_cast<char*>(data);
  size_t done = 0;
  while (done < size) {
    const ssize_t got = calls_.pread(fd_, to + done, size - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_with_errno("read back");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void AtomicFile::share(const std::string& other) {
  calls_.close(std::exchange(fd_, -1));
  calls_.unlink(temporary_.c_str());
  const bool linked = calls_.link(other.c_str(), temporary_.c_str()) == 0;
  fd_ = open_retrying(temporary_, linked ? O_RDONLY : O_RDWR | O_CREAT | O_EXCL);
  if (fd_ < 0) fail_with_errno("create");
  if (linked) return;
  const InputFile from(other);
  std::vector<char> piece(size_t{1} << 20);
  while (const size_t got = from.read_at(end_, piece.data(), piece.size())) append(piece.data(), got);
}

void AtomicFile::commit() {
  require(fd_ >= 0, "commit() of '", path_, "' was called twice");
  int synced = 0;
  do {
    synced = calls_.fsync(fd_);
  } while (synced != 0 && errno == EINTR);
  if (synced != 0) fail_with_errno("sync");
  // Linux releases the descriptor whatever close returns, so it is never closed again.
  const int closed = calls_.close(std::exchange(fd_, -1));
  if (closed != 0 && errno != EINTR) fail_with_errno("close");
  if (calls_.rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("rename");
  committed_ = true;
  sync_folder();
  remove_leftovers();
}

void AtomicFile::sync_folder() {
  const int folder = calls_.open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (folder < 0) fail_with_errno("open the folder of");
  const int synced = calls_.fsync(folder);
  const int error = errno;
  calls_.close(folder);
  errno = error;
  // Some file systems know no fsync of a folder and say EINVAL.
  if (synced != 0 && error != EINVAL) fail_with_errno("sync the folder of");
}

void AtomicFile::remove_leftovers() const {
  const std::string stem = temporary_stem(fs::path(path_).filename().string());
  std::error_code unreadable;  // nothing to tidy then
  for (const std::string& name : names_in_folder(folder_, unreadable)) {
    if (name.starts_with(stem) && is_dead_process(std::string_view(name).substr(stem.size())))
      calls_.unlink((fs::path(folder_) / name).c_str());
  }
}

void AtomicFile::fail_with_errno(const char* what) const {
  const int error = errno;
  fail(Exit::io, "cannot ", what, " '", path_, "': ", std::strerror(error),
       committed_ ? "" : "; a file that was there before is unchanged");
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.append(content);
  file.commit();
}

void share_file_atomically(const std::string& other, const std::string& path, FileCalls calls) {
  std::error_code none;
  if (fs::equivalent(other, path, none)) return;  // which rename() would leave under both its names
  AtomicFile file(path, std::move(calls));
  file.share(other);
  file.commit();
}

}  // namespace tapestry
