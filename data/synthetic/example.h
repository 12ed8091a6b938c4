#pragma once

#include <cstdint>
#include <vector>

namespace tapestry {

/// Scored targets in a row that make one answer, which is right if all of them are.
struct Answer {
  int64_t first = 0;  // place of the first of them: the model has seen tokens [0, first] when it answers
  int64_t length = 1;
  int64_t distance = 0;  // tokens from where the answer stood to where it is asked for, start to start
};

/// One sequence of a task: what the model reads, and what it should say.
struct Example {
  std::vector<int32_t> tokens, targets;  // [seq_len] each; targets that no answer holds are kUnscored
  std::vector<Answer> answers;
};

/// From a sequence of seq_len + 1 tokens, each of which but the first is a possible target.
Example make_example(const std::vector<int32_t>& sequence, std::vector<Answer> answers);

}  // namespace tapestry
