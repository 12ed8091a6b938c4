#include "data/synthetic/task.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/batch_source.h"
#include "data/byte_tokenizer.h"
#include "data/synthetic/copy.h"
#include "data/synthetic/induction.h"
#include "data/synthetic/passkey.h"
#include "data/synthetic/recall.h"
#include "data/synthetic/task_batches.h"
#include "tests/support/byte_token_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {
namespace {

using Tokens = std::vector<int32_t>;

std::shared_ptr<const SyntheticTask> make(const std::string& name, int64_t seq_len,
                                          const std::map<std::string, std::string>& options = {}) {
  Config config;
  for (const auto& [key, value] : options) config.set(name + "." + key, value, "the test");
  return find_task(name).make(config, seq_len);
}

/// The tokens of an answer, and what the model has read when the first of them is due.
struct Question {
  Tokens answer, prefix;
  Answer place;
};
std::vector<Question> questions(const Example& example) {
  std::vector<Question> all;
  for (const Answer& answer : example.answers) {
    const auto first = example.targets.begin() + answer.first;
    all.push_back({Tokens(first, first + answer.length),
                   Tokens(example.tokens.begin(), example.tokens.begin() + answer.first + 1), answer});
  }
  return all;
}

/// Where `pattern` stands in `text`, the last time before `end`; -1 if nowhere.
int64_t find_before(const Tokens& text, const Tokens& pattern, int64_t end) {
  for (int64_t at = end - std::ssize(pattern); at >= 0; --at)
    if (std::equal(pattern.begin(), pattern.end(), text.begin() + at)) return at;
  return -1;
}

/// Where the answer to the question at the end of `prefix` begins, by the rules of the task alone.
int64_t solve(const std::string& name, const Tokens& prefix) {
  const int64_t length = std::ssize(prefix);
  if (name == "recall" || name == "induction") return find_before(prefix, {prefix.back()}, length - 1) + 1;
  if (name == "passkey") {
    const Tokens needle = ByteTokenizer().encode("The pass key is ");
    return find_before(prefix, needle, length - 1) + std::ssize(needle) - 1;
  }
  // copy: the symbols before the filler, which is token 0.
  int64_t end = length - 1;
  while (end > 0 && prefix[end - 1] == 0) --end;
  return end - CopyOptions{}.length;
}

class Task : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Task, testing::Values("recall", "passkey", "copy", "induction"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Task, AnswersFollowFromWhatWasReadAndStandWhereTheDistanceSays) {
  const std::string name = GetParam();
  const auto task = make(name, 400);
  std::set<int64_t> distances;
  for (int64_t i = 0; i < 50; ++i) {
    for (const Question& question : questions(held_out_example(*task, i))) {
      const int64_t at = solve(name, question.prefix);
      const int64_t asked = std::ssize(question.prefix);
      ASSERT_GE(at, 0);
      EXPECT_EQ(asked - at, question.place.distance);
      ASSERT_LE(at + question.place.length, asked);
      const auto told = question.prefix.begin() + at;
      EXPECT_EQ(Tokens(told, told + question.place.length), question.answer);
      distances.insert(question.place.distance);
    }
  }
  EXPECT_GT(distances.size(), 20u);
  EXPECT_LT(*distances.begin(), 100);
  EXPECT_GT(*distances.rbegin(), 300);
}

TEST_P(Task, OnlyAnswersAreScoredAndTokensAreOfTheVocabulary) {
  const auto task = make(GetParam(), 301);
  for (int64_t i = 0; i < 20; ++i) {
    const Example example = held_out_example(*task, i);
    ASSERT_EQ(example.tokens.size(), 301u);
    ASSERT_EQ(example.targets.size(), 301u);
    int64_t scored = 0;
    for (size_t t = 0; t < example.targets.size(); ++t) {
      EXPECT_GE(example.tokens[t], 0);
      EXPECT_LT(example.tokens[t], task->tokenizer()->vocab_size());
      if (example.targets[t] == kUnscored) continue;
      ++scored;
      if (t + 1 < example.tokens.size()) {
        EXPECT_EQ(example.targets[t], example.tokens[t + 1]);
      }
    }
    int64_t asked = 0;
    for (const Answer& answer : example.answers) asked += answer.length;
    EXPECT_EQ(scored, asked);
    EXPECT_GT(scored, 0);
  }
}

TEST_P(Task, TrainingIsAFunctionOfSeedAndStepAndNeverHeldOut) {
  const auto task = make(GetParam(), 200);
  const BatchOptions options{.seq_len = 200, .batch_size = 3, .grad_accum = 2, .seed = 0};
  const TaskBatches first(task, options), second(task, options);
  EXPECT_EQ(first.tokens_per_step(), 200 * 6);
  EXPECT_EQ(second.batch(7, 1).tokens, first.batch(7, 1).tokens);
  EXPECT_EQ(second.batch(7, 1).targets, first.batch(7, 1).targets);
  BatchOptions other = options;
  other.seed = 1;
  EXPECT_NE(TaskBatches(task, other).batch(7, 1).tokens, first.batch(7, 1).tokens);
  std::set<Tokens> seen;
  for (int64_t step = 0; step < 20; ++step) {
    for (int64_t micro = 0; micro < 2; ++micro) {
      const Batch batch = first.batch(step, micro);
      for (auto row = batch.tokens.begin(); row != batch.tokens.end(); row += 200)
        seen.insert({row, row + 200});
    }
  }
  EXPECT_EQ(seen.size(), 20u * 6);
  for (int64_t i = 0; i < 100; ++i) EXPECT_FALSE(seen.contains(held_out_example(*task, i).tokens)) << i;
}

TEST(Recall, PairsStandAtLeastTheGapApartAndEachKeyTwice) {
  const auto task = make("recall", 256, {{"pairs", "8"}, {"gap", "101"}, {"keys", "8"}, {"fillers", "3"}});
  for (int64_t i = 0; i < 30; ++i) {
    const Example example = held_out_example(*task, i);
    EXPECT_EQ(example.answers.size(), 8u);
    std::map<int32_t, int> keys;
    for (const int32_t token : example.tokens)
      if (token >= 3 && token < 3 + 8) ++keys[token];
    EXPECT_EQ(keys.size(), 8u);
    for (const auto& [key, count] : keys) EXPECT_EQ(count, 2) << key;
    for (const Answer& answer : example.answers) EXPECT_GE(answer.distance, 101);
  }
}

TEST(Recall, AsksAgainForWhatStoodInTheQuestionBefore) {
  const auto task = make("recall", 256, {{"pairs", "8"}, {"keys", "8"}, {"asked", "4"}, {"gap", "11"}});
  int64_t asked = 0;
  for (int64_t i = 0; i < 30; ++i) {
    std::map<int32_t, int> times;
    for (const Question& question : questions(held_out_example(*task, i))) {
      const int64_t at = solve("recall", question.prefix);
      ASSERT_GT(at, 0);
      EXPECT_EQ(question.answer[0], question.prefix[at]);
      EXPECT_EQ(std::ssize(question.prefix) - at, question.place.distance);
      if (++times[question.prefix.back()] == 1) {
        EXPECT_GE(question.place.distance, 11);
      }
      ++asked;
    }
    EXPECT_EQ(times.size(), 8u);
    for (const auto& [key, count] : times) EXPECT_LE(count, 4) << key;
  }
  EXPECT_GT(asked, 30 * 8 * 2);
}

TEST(Passkey, StandsAtTheDepthThatIsAskedFor) {
  for (const double depth : {0.0, 0.25, 0.5, 1.0}) {
    const auto task = make("passkey", 1000, {{"depth", format_value(depth)}, {"digits", "3"}});
    const Example example = held_out_example(*task, 1);
    const int64_t told = example.answers[0].first + 1 - example.answers[0].distance;
    const auto text = ByteTokenizer().decode(example.tokens);
    EXPECT_EQ(static_cast<int64_t>(text.find(" The pass key is ")),
              told - std::ssize(std::string(" The pass key is")));
    EXPECT_NEAR(static_cast<double>(told) / 1000, depth, 0.1);
    EXPECT_EQ(example.answers[0].length, 4);
  }
}

TEST(Passkey, HidesInTheTextOfItsOwnSplit) {
  TemporaryFolder folder;
  write_byte_token_file(folder / "text.h5", std::string(3000, 'a') + std::string(3000, 'b'), 0.5);
  const auto task = make("passkey", 500, {{"filler", folder / "text.h5"}});
  EXPECT_EQ(task->filler_sha256().size(), 64u);
  const auto count = [&](Split split, char letter) {
    const auto text = ByteTokenizer().decode(task->example(1, split).tokens);
    return std::count(text.begin(), text.end(), letter);
  };
  EXPECT_GT(count(Split::train, 'a'), 300);
  EXPECT_GT(count(Split::valid, 'b'), 300);
  EXPECT_LT(count(Split::train, 'b'), 10);
  EXPECT_LT(count(Split::valid, 'a'), 10);
}

TEST(Copy, KeepsTheGapItIsGiven) {
  const auto task = make("copy", 100, {{"length", "20"}, {"gap", "7"}});
  const Example example = held_out_example(*task, 0);
  EXPECT_EQ(example.answers[0].distance, 28);
  EXPECT_EQ(example.answers[0].length, 20);
  EXPECT_EQ(example.answers[0].first, 80);
}

TEST(TaskOptions, WhatDoesNotFitIsAUsageError) {
  expect_error(Exit::usage, "recall.keys", [] { make("recall", 400, {{"keys", "15"}}); });
  expect_error(Exit::usage, "recall.pairs", [] { make("recall", 100); });
  expect_error(Exit::usage, "passkey", [] { make("passkey", 80); });
  expect_error(Exit::usage, "passkey.depth", [] { make("passkey", 800, {{"depth", "-0.5"}}); });
  expect_error(Exit::usage, "copy.length", [] { make("copy", 31); });
  expect_error(Exit::usage, "induction.distance", [] { make("induction", 31, {{"distance", "31"}}); });
  expect_error(Exit::usage, "known are recall, passkey, copy, induction", [] { make("juggle", 31); });
}

/// The smallest that fit, where an off-by-one would write outside.
TEST(TaskOptions, TheTightestFitsAreWhole) {
  EXPECT_EQ(held_out_example(*make("copy", 32), 0).answers[0].distance, 17);
  EXPECT_EQ(held_out_example(*make("induction", 3), 0).answers[0].distance, 2);
  EXPECT_EQ(held_out_example(*make("recall", 129), 0).answers.size(), 16u);
  for (int64_t length = 60; length < 100; ++length) {
    try {
      const Example example = held_out_example(*make("passkey", length), 0);
      EXPECT_EQ(std::ssize(example.tokens), length);
      return;
    } catch (const Error&) {
    }
  }
  FAIL();
}

}  // namespace
}  // namespace tapestry::test
