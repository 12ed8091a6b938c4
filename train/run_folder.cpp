#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/folder.h"
#include "base/lines.h"

namespace tapestry {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "step-", kSuffix = ".h5";

/// The number in "step-<number>.h5".
std::optional<int64_t> step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size() - kSuffix.size();
  int64_t step = 0;
  const auto [stop, fault] = std::from_chars(begin, end, step);
  if (fault != std::errc() || stop != end) return std::nullopt;
  return step;
}

std::string owner_of(const fs::path& lock) {
  std::ifstream file(lock);
  std::string owner;
  next_line(file, owner);
  return owner.empty() ? "another process" : owner;
}

/// Returns the path, made into a folder.
const fs::path& make_folder(const fs::path& path) {
  std::error_code fault;
  fs::create_directories(path, fault);
  check(!fault && fs::is_directory(path), Exit::io, "cannot create the run folder ", path.string(), ": ",
        fault ? fault.message() : "a file of this name is in the way");
  return path;
}

}  // namespace

FileLock::FileLock(const fs::path& file) : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  check(fd_ >= 0, Exit::io, "cannot write ", file.string(), ": ", std::strerror(errno));
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const std::string owner = join("process ", ::getpid(), " on ", host, "\n");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    fail(Exit::busy, file.parent_path().string(), " is in use by ", owner_of(file),
         "; choose another folder");
  }
  // The note only helps people; a full disk shows itself at the first checkpoint.
  if (::ftruncate(fd_, 0) == 0) [[maybe_unused]]
    const auto written = ::pwrite(fd_, owner.data(), owner.size(), 0);
}

FileLock::~FileLock() { ::close(fd_); }

RunFolder::RunFolder(const fs::path& path, Mode mode) : path_(make_folder(path)), lock_(path / "run.lock") {
  const bool has_checkpoint = fs::exists(last()) || fs::exists(best()) || !numbered().empty();
  const bool has_run = has_checkpoint || fs::exists(metrics());
  if (mode == Mode::fresh) {
    check(!has_run, Exit::usage, path_.string(),
          " already holds a run: go on with it with --resume, replace it with --overwrite, or choose another "
          "train.out");
  }
  if (mode == Mode::resume) {
    check(has_checkpoint, Exit::checkpoint, path_.string(),
          " holds no last.h5 or other checkpoint to resume from");
  }
}

void RunFolder::clear() const {
  for (const fs::path& file : numbered()) fs::remove(file);
  for (const fs::path& file : {last(), best(), metrics(), config()}) fs::remove(file);
}

fs::path RunFolder::step(int64_t step) const { return path_ / join(kPrefix, step, kSuffix); }

std::vector<fs::path> RunFolder::numbered() const {
  std::vector<fs::path> files;
  std::error_code fault;
  for (const std::string& name : names_in_folder(path_.string(), fault)) {
    if (step_of(name)) files.push_back(path_ / name);
  }
  check(!fault, Exit::io, "cannot read the run folder ", path_.string(), ": ", fault.message());
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) < step_of(b); });
  return files;
}

void RunFolder::prune(int64_t keep) const {
  const std::vector<fs::path> files = numbered();
  for (int64_t i = 0; i + keep < static_cast<int64_t>(files.size()); ++i) fs::remove(files[i]);
}

}  // namespace tapestry
