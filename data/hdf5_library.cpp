#include "data/hdf5_library.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tapestry {
namespace hdf5 {
namespace {

constexpr const char* kErrno = "errno = ";
constexpr const char* kLockAdvice =
    "; another program holds its lock, or its file system has no locks: then set HDF5_USE_FILE_LOCKING=FALSE";
constexpr size_t kMostTextBytes = size_t{1} << 28;

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

using Message = std::array<char, 512>;

// Called by libhdf5, which no exception may pass: it copies without asking for memory.
herr_t take_innermost(unsigned depth, const H5E_error2_t* error, void* message) {
  auto& text = *static_cast<Message*>(message);
  if (depth == 0 && error->desc) std::snprintf(text.data(), text.size(), "%s", error->desc);
  return 0;
}

std::string innermost_message() {
  Message text{};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &text);
  return text.data();
}

bool is_about_lock(const std::string& message) { return message.find(" lock file") != std::string::npos; }

}  // namespace

Session::Session() : lock_(library_mutex()) {
  // libhdf5's exit handler crashes after a write that failed, on a full disk say.
  static std::once_flag once;
  std::call_once(once, [] { H5dont_atexit(); });
  // A thread-safe build of the library has an error stack a thread.
  thread_local const herr_t silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  static_cast<void>(silenced);
}

void release_in_child() { new (&library_mutex()) std::recursive_mutex; }

FailedCloses& failed_closes() {
  static FailedCloses failed;
  return failed;
}

std::string last_error() {
  const std::string text = innermost_message();
  if (text.empty()) return "";
  // What the operating system said, out of a message of several lines.
  const size_t at = text.find(kErrno);
  const bool system = at != std::string::npos;
  const std::string reason =
      system ? join(": ", std::strerror(std::atoi(text.c_str() + at + std::strlen(kErrno))))
             : " (HDF5: " + text + ")";
  return reason + (is_about_lock(text) ? kLockAdvice : "");
}

bool last_error_is_lock() { return is_about_lock(innermost_message()); }

Hdf5Id text_type() {
  Hdf5Id type = own(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

std::optional<std::vector<std::string>> read_texts(const Hdf5Id& type, const Hdf5Id& space,
                                                   const std::function<bool(hid_t, void*)>& read) {
  const bool variable = H5Tis_variable_str(type.get()) > 0;
  const size_t width = variable ? sizeof(char*) : H5Tget_size(type.get());
  const auto count = static_cast<size_t>(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space.get())));
  if (width == 0 || count > kMostTextBytes / width) return std::nullopt;
  std::vector<std::string> texts;
  if (variable) {
    std::vector<char*> pointers(count, nullptr);
    if (!read(type.get(), pointers.data())) return std::nullopt;
    for (const char* text : pointers) texts.emplace_back(text ? text : "");
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, pointers.data());
    return texts;
  }
  std::vector<char> bytes(count * width);
  if (!read(type.get(), bytes.data())) return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    const char* text = bytes.data() + i * width;
    texts.emplace_back(text, strnlen(text, width));
  }
  return texts;
}

}  // namespace hdf5

Hdf5Id::~Hdf5Id() {
  if (reset()) return;
  const hdf5::Session session;
  ++hdf5::failed_closes().count;
  hdf5::failed_closes().last_error = hdf5::last_error();
}

Hdf5Id& Hdf5Id::operator=(Hdf5Id&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  return *this;
}

bool Hdf5Id::reset() {
  if (id_ < 0) return true;
  const hdf5::Session session;
  return close_(std::exchange(id_, -1)) >= 0;
}

std::string format_shape(const Hdf5Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace tapestry
