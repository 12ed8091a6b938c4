#pragma once

#include <vector>

#include "base/report.h"
#include "data/synthetic/example.h"
#include "layers/language_model.h"

namespace tapestry {

/// How a model did on one answer, with the true tokens before each that it had to give.
struct ScoredAnswer {
  Answer place;
  int64_t right = 0;  // tokens that were the most likely one
  double nll = 0;     // nats, summed over the answer's tokens
  bool exact() const { return right == place.length; }
};

/// All answers of examples of one length, which run as one batch.
std::vector<ScoredAnswer> score_answers(const LanguageModel& model, const std::vector<Example>& examples);

/// Adds what the answers say together, and a table by distance: `buckets` rows of equal width up to the
/// greatest distance, those without an answer left out.
void add_accuracy(Report& report, const std::vector<ScoredAnswer>& answers, int64_t buckets);

}  // namespace tapestry
