#include "base/nearest.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tapestry {
namespace {

constexpr size_t kLongestWord = 64;

}  // namespace

int edit_distance(std::string_view a, std::string_view b, int limit) {
  const size_t longest = std::max(a.size(), b.size());
  if (longest > kLongestWord) return static_cast<int>(longest);
  int d[kLongestWord + 1][kLongestWord + 1];
  int least = 0, least_before = 0;  // of a row, and of the one before it: nothing below is less than both
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    const int* up = d[i - 1];
    int* row = d[i];
    least_before = std::exchange(least, row[0] = static_cast<int>(i));
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = up[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min(replaced, std::min(up[j], row[j - 1]) + 1);
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], d[i - 2][j - 2] + 1);
      least = std::min(least, row[j]);
    }
    if (std::min(least, least_before) > limit) return least;
  }
  return d[a.size()][b.size()];
}

void Nearest::offer(int cost, const std::string& candidate) {
  constexpr size_t shown = 3;
  if (cost < least_) candidates_.clear();
  least_ = std::min(least_, cost);
  const bool listed = std::find(candidates_.begin(), candidates_.end(), candidate) != candidates_.end();
  if (cost == least_ && !listed && candidates_.size() < shown) candidates_.push_back(candidate);
}

std::string Nearest::question() const {
  if (candidates_.empty()) return "";
  std::string text = "did you mean " + candidates_.front();
  for (size_t i = 1; i < candidates_.size(); ++i)
    text += (i + 1 < candidates_.size() ? ", " : " or ") + candidates_[i];
  return text + "?";
}

std::string did_you_mean(const std::vector<std::string>& candidates, const std::string& word) {
  Nearest nearest;
  for (const std::string& candidate : candidates)
    nearest.offer(edit_distance(candidate, word, nearest.least()), candidate);
  return nearest.question();
}

}  // namespace tapestry
