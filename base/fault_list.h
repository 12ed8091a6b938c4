#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace tapestry {

/// What is wrong with a file, one line each.
class FaultList {
 public:
  /// Whether `look` found nothing; what it throws becomes a fault. Faults of the machine (a disk that cannot
  /// be read, no memory, a signal) are none of the file and pass through.
  template <class Look>
  bool run(const Look& look) {
    try {
      look();
      return true;
    } catch (const Error& error) {
      const bool of_file =
          error.exit() == Exit::usage || error.exit() == Exit::input || error.exit() == Exit::checkpoint;
      if (!of_file) throw;
      lines_.emplace_back(error.what());
      return false;
    }
  }
  template <class... Parts>
  void require(bool ok, const Parts&... parts) {
    if (!ok) lines_.push_back(join(parts...));
  }
  void add(const std::vector<std::string>& lines) { lines_.insert(lines_.end(), lines.begin(), lines.end()); }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

}  // namespace tapestry
