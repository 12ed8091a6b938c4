#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace tapestry {

/// Exit status of the program; every Error carries the one it leads to.
enum class Exit {
  done = 0,
  usage = 2,         // command line or configuration
  input = 3,         // a file that the user gave is bad
  io = 4,            // reading or writing failed: full disk, permission
  nonfinite = 5,     // training met a number that is not finite
  memory = 6,        // memory or device
  checkpoint = 7,    // checkpoint unusable
  busy = 8,          // another process owns the folder
  stopped = 75,      // stopped by a signal, can be resumed
  interrupted = 130  // second interrupt
};

/// What went wrong in one line: which file, key or shape, and what to do.
class Error : public std::runtime_error {
 public:
  Error(Exit exit, const std::string& message) : std::runtime_error(message), exit_(exit) {}
  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

/// Joins anything that streams, `join("x is ", 3)` -> "x is 3".
template <class... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream text;
  text.exceptions(std::ios::badbit);  // without memory it would come out short
  (text << ... << parts);
  return text.str();
}

template <class... Parts>
[[noreturn]] void fail(Exit exit, const Parts&... parts) {
  throw Error(exit, join(parts...));
}

/// Throws an Error with `exit` and the joined parts unless `ok`. The message is built only on failure.
template <class... Parts>
void check(bool ok, Exit exit, const Parts&... parts) {
  if (!ok) fail(exit, parts...);
}

/// For arguments of library calls: wrong shapes, sizes and combinations.
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) fail(Exit::usage, parts...);
}

}  // namespace tapestry
