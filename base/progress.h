#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace tapestry {

/// Where progress is shown. Tests give their own.
struct ProgressTarget {
  std::ostream* out;
  bool terminal;                    // a line is rewritten in place; else lines follow each other, rarely
  int64_t columns;                  // width of the terminal
  std::function<double()> seconds;  // a clock that never goes back

  static ProgressTarget standard_error();
};

/// Tells how far long work has come: "eval  1.2 M/3.4 M tokens  35%  12.3 k tokens/s  ppl 31.2  1m 20s left".
class Progress {
 public:
  /// `total` in `unit`s, 0 if unknown; `start` of them were done before, by a run that is now resumed.
  Progress(std::string what, int64_t total, std::string unit, int64_t start = 0,
           ProgressTarget target = ProgressTarget::standard_error());
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` units. Cheap: it shows something only a few times a second, without a terminal only
  /// every ten seconds.
  void update(int64_t done, const std::string& detail = "");
  /// A line that stays, at once.
  void line(const std::string& text);
  /// Shows the last state if it was not shown, and ends its line. The destructor does it too.
  void finish();

 private:
  std::string status() const;
  void show();

  std::string what_, unit_, detail_;
  int64_t total_, start_, done_;
  ProgressTarget target_;
  double started_, shown_;
  bool pending_ = false;    // the state has changed since it was shown
  bool line_open_ = false;  // a terminal's line waits to be rewritten
};

}  // namespace tapestry
