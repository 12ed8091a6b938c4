#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/units.h"

namespace tapestry {

ProgressTarget ProgressTarget::standard_error() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return {&std::cerr, isatty(STDERR_FILENO) == 1, known ? size.ws_col : 80, steady_seconds};
}

Progress::Progress(std::string what, int64_t total, std::string unit, int64_t start, ProgressTarget target)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      start_(start),
      done_(start),
      target_(std::move(target)),
      started_(target_.seconds()),
      shown_(started_) {}

Progress::~Progress() {
  try {
    finish();
  } catch (const std::exception&) {  // no memory for a last line
  }
}

void Progress::update(int64_t done, const std::string& detail) {
  done_ = done;
  detail_ = detail;
  pending_ = true;
  const double interval = target_.terminal ? 0.2 : 10;
  if (target_.seconds() - shown_ >= interval) show();
}

void Progress::line(const std::string& text) {
  if (line_open_) *target_.out << "\r\x1b[K";
  line_open_ = false;
  *target_.out << text << std::endl;
}

void Progress::finish() {
  if (pending_) show();
  if (line_open_) *target_.out << std::endl;
  line_open_ = false;
}

std::string Progress::status() const {
  const double seconds = target_.seconds() - started_;
  const double rate = seconds > 0 ? static_cast<double>(done_ - start_) / seconds : 0;
  std::string text = join(what_, "  ", format_count(static_cast<double>(done_)));
  if (total_ > 0) text += join("/", format_count(static_cast<double>(total_)));
  text += " " + unit_;
  if (total_ > 0) text += join("  ", 100 * done_ / total_, "%");
  if (rate > 0) text += join("  ", format_count(rate), " ", unit_, "/s");
  if (!detail_.empty()) text += "  " + detail_;
  if (done_ >= total_) return text + "  " + format_duration(seconds);
  if (rate > 0) text += "  " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
  return text;
}

void Progress::show() {
  std::string text = status();
  pending_ = false;
  shown_ = target_.seconds();
  if (!target_.terminal) {
    *target_.out << text << std::endl;
    return;
  }
  // A line that wraps could not be rewritten.
  text.resize(std::min(text.size(), static_cast<size_t>(target_.columns - 1)));
  *target_.out << "\r" << text << "\x1b[K" << std::flush;
  line_open_ = true;
}

}  // namespace tapestry
