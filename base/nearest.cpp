#include "base/nearest.h"

#include <algorithm>
#include <array>
#include <limits>

namespace tapestry {
namespace {

constexpr size_t kLongestWord = 64;

}  // namespace

int edit_distance(const std::string& a, const std::string& b) {
  const size_t longest = std::max(a.size(), b.size());
  if (longest > kLongestWord) return static_cast<int>(longest);
  std::array<std::array<int, kLongestWord + 1>, kLongestWord + 1> d;
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string did_you_mean(const std::vector<std::string>& candidates,
                         const std::function<int(const std::string&)>& cost) {
  constexpr size_t shown = 3;
  std::vector<std::string> nearest;
  int least = std::numeric_limits<int>::max();
  for (const std::string& candidate : candidates) {
    const int c = cost(candidate);
    if (c < least) nearest.clear();
    least = std::min(least, c);
    const bool listed = std::find(nearest.begin(), nearest.end(), candidate) != nearest.end();
    if (c == least && !listed && nearest.size() < shown) nearest.push_back(candidate);
  }
  if (nearest.empty()) return "";
  std::string text = "did you mean " + nearest.front();
  for (size_t i = 1; i < nearest.size(); ++i) text += (i + 1 < nearest.size() ? ", " : " or ") + nearest[i];
  return text + "?";
}

std::string did_you_mean(const std::vector<std::string>& candidates, const std::string& word) {
  return did_you_mean(candidates,
                      [&](const std::string& candidate) { return edit_distance(candidate, word); });
}

}  // namespace tapestry
