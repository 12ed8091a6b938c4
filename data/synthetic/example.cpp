#include "data/synthetic/example.h"

#include "base/error.h"
#include "data/batch_source.h"

namespace tapestry {

Example make_example(const std::vector<int32_t>& sequence, std::vector<Answer> answers) {
  Example example{{sequence.begin(), sequence.end() - 1}, {}, std::move(answers)};
  example.targets.assign(example.tokens.size(), kUnscored);
  for (const Answer& answer : example.answers) {
    require(answer.first >= 0 && answer.first + answer.length < std::ssize(sequence), "an answer at ",
            answer.first, " of a sequence of ", sequence.size());
    for (int64_t i = answer.first; i < answer.first + answer.length; ++i)
      example.targets[i] = sequence[i + 1];
  }
  return example;
}

}  // namespace tapestry
