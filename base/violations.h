#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace tapestry {

/// Collects everything that is wrong with some input, so that one error can list it all.
class Violations {
 public:
  /// Whether there are so many that the input is probably something else: reading it can stop.
  bool enough() const { return lines_.size() >= 200; }

  template <class... Parts>
  void add(const Parts&... parts) {
    lines_.push_back(join(parts...));
  }
  template <class... Parts>
  void require(bool ok, const Parts&... parts) {
    if (!ok) add(parts...);
  }

  /// Does nothing without violations; else throws: one on its own line, several below a line that counts
  /// them.
  void throw_if_any(Exit exit = Exit::usage) const {
    if (lines_.empty()) return;
    if (lines_.size() == 1) fail(exit, lines_.front());
    std::string text = join(lines_.size(), " problems", enough() ? " and perhaps more:" : ":");
    for (const std::string& line : lines_) text += "\n  " + line;
    fail(exit, text);
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace tapestry
