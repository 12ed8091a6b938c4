#include "base/units.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/error.h"

namespace tapestry {
namespace {

std::string with_decimals(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// The value in the largest unit that leaves at least 1, with one decimal; whole in the smallest unit.
std::string scaled(double value, double step, const std::vector<std::string>& units) {
  size_t unit = 0;
  while (std::abs(value) >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const std::string number = with_decimals(value, unit > 0 ? 1 : 0);
  return units[unit].empty() ? number : number + " " + units[unit];
}

}  // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 10) return with_decimals(seconds, seconds < 1 ? 2 : 1) + "s";
  const auto whole = std::llround(seconds);
  if (whole < 60) return join(whole, "s");
  if (whole < 3600) return join(whole / 60, "m ", whole % 60, "s");
  const auto minutes = std::llround(seconds / 60);
  if (minutes < 24 * 60) return join(minutes / 60, "h ", minutes % 60, "m");
  const auto hours = std::llround(seconds / 3600);
  return join(hours / 24, "d ", hours % 24, "h");
}

std::string format_bytes(int64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
}

std::string format_count(double count) { return scaled(count, 1000, {"", "k", "M", "G", "T"}); }

}  // namespace tapestry
