#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace tapestry {

/// Letters to insert, delete, replace or swap with their neighbour to turn `a` into `b`
/// (optimal string alignment distance). Words of more than 64 letters, which no name is, are told apart by
/// their length alone. Some number above `limit` where it is above that: most words are nowhere near.
int edit_distance(std::string_view a, std::string_view b, int limit = std::numeric_limits<int>::max());

/// The candidates of least cost, at most three.
class Nearest {
 public:
  /// Of those so far: what costs more will not be among them.
  int least() const { return least_; }
  void offer(int cost, const std::string& candidate);
  /// "did you mean a?" or "did you mean a, b or c?"; empty without candidates.
  std::string question() const;

 private:
  int least_ = std::numeric_limits<int>::max();
  std::vector<std::string> candidates_;
};

/// The question about the candidates of least edit distance.
std::string did_you_mean(const std::vector<std::string>& candidates, const std::string& word);

}  // namespace tapestry
