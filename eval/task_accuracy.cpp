#include "eval/task_accuracy.h"

#include <algorithm>
#include <span>

#include "data/synthetic/task_batches.h"
#include "eval/agreement.h"
#include "eval/equal_parts.h"

namespace tapestry {
namespace {

/// Hidden states [n, C] of the places where answers are due, in the order of examples and answers.
Tensor answer_rows(const Tensor& hidden, const std::vector<Example>& examples) {
  const int64_t width = hidden.dim(2), seq_len = hidden.dim(1);
  const std::vector<float> values = hidden.values<float>();
  std::vector<float> rows;
  for (size_t i = 0; i < examples.size(); ++i) {
    for (const Answer& answer : examples[i].answers) {
      const auto first = values.begin() + (static_cast<int64_t>(i) * seq_len + answer.first) * width;
      rows.insert(rows.end(), first, first + answer.length * width);
    }
  }
  return Tensor::from(rows, {std::ssize(rows) / width, width}).to(hidden.device());
}

void score_token(std::span<const float> logits, int32_t target, ScoredAnswer& answer) {
  answer.right += std::max_element(logits.begin(), logits.end()) - logits.begin() == target ? 1 : 0;
  answer.nll += log_sum_exp(logits) - logits[static_cast<size_t>(target)];
}

/// Sums over the answers of a range of distances.
struct Bucket {
  int64_t answers = 0, exact = 0, tokens = 0, right = 0;
  double nll = 0;
  void add(const ScoredAnswer& answer) {
    answers += 1;
    exact += answer.exact() ? 1 : 0;
    tokens += answer.place.length;
    right += answer.right;
    nll += answer.nll;
  }
  double exact_match() const { return static_cast<double>(exact) / static_cast<double>(answers); }
  double token_accuracy() const { return static_cast<double>(right) / static_cast<double>(tokens); }
  double mean_nll() const { return nll / static_cast<double>(tokens); }
};

}  // namespace

std::vector<ScoredAnswer> score_answers(const LanguageModel& model, const std::vector<Example>& examples) {
  const Batch batch = batch_of(examples);
  const Tensor hidden =
      model.final_hidden(Tensor::from(batch.tokens, Shape{batch.batch_size, batch.seq_len}));
  const Tensor logits = model.logits_of(answer_rows(hidden, examples));
  const std::vector<float> values = logits.values<float>();
  std::span<const float> rest(values);
  const auto vocabulary = static_cast<size_t>(logits.dim(1));
  std::vector<ScoredAnswer> scored;
  for (const Example& example : examples) {
    for (const Answer& place : example.answers) {
      ScoredAnswer answer{place};
      for (int64_t t = place.first; t < place.first + place.length; ++t, rest = rest.subspan(vocabulary))
        score_token(rest.first(vocabulary), example.targets[static_cast<size_t>(t)], answer);
      scored.push_back(answer);
    }
  }
  return scored;
}

void add_accuracy(Report& report, const std::vector<ScoredAnswer>& answers, int64_t buckets) {
  require(!answers.empty() && buckets > 0, answers.size(), " answers in ", buckets, " buckets");
  int64_t farthest = 0;
  for (const ScoredAnswer& answer : answers) farthest = std::max(farthest, answer.place.distance);
  const EqualParts parts{farthest, buckets};
  Bucket all;
  std::vector<Bucket> by_distance(static_cast<size_t>(buckets));
  for (const ScoredAnswer& answer : answers) {
    all.add(answer);
    by_distance[static_cast<size_t>(parts.of(answer.place.distance))].add(answer);
  }
  report.add("answers", all.answers).add("mean_nll", all.mean_nll());
  report.add("exact_match", all.exact_match()).add("token_accuracy", all.token_accuracy());
  Report::Table& table =
      report.table("by_distance", {"from", "to", "answers", "exact_match", "token_accuracy"});
  for (int64_t i = 0; i < buckets; ++i) {
    const Bucket& bucket = by_distance[static_cast<size_t>(i)];
    if (bucket.answers == 0) continue;
    table.row({parts.first(i), parts.last(i), bucket.answers, bucket.exact_match(), bucket.token_accuracy()});
  }
}

}  // namespace tapestry
