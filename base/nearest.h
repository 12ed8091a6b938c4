#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tapestry {

/// Letters to insert, delete, replace or swap with their neighbour to turn `a` into `b`
/// (optimal string alignment distance). Words of more than 64 letters, which no name is, are told apart by
/// their length alone.
int edit_distance(const std::string& a, const std::string& b);

/// "did you mean a?" or "did you mean a, b or c?" with the candidates of least cost, at most three; empty
/// without candidates. The cost is the edit distance where none is given.
std::string did_you_mean(const std::vector<std::string>& candidates,
                         const std::function<int(const std::string&)>& cost);
std::string did_you_mean(const std::vector<std::string>& candidates, const std::string& word);

}  // namespace tapestry
