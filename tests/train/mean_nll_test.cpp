#include "train/mean_nll.h"

#include <gtest/gtest.h>

#include <numeric>

#include "autograd/random.h"

namespace tapestry::test {
namespace {

TEST(EvalWindows, DisjointWindowsScoreEveryTokenButTheFirstOnce) {
  for (int64_t tokens : {2, 3, 8, 9, 10, 17, 100}) {
    std::vector<int> scored(tokens, 0);
    for (const EvalWindow& window : eval_windows(tokens, {.seq_len = 8})) {
      for (int64_t i = 0; i < window.scored; ++i) ++scored[window.begin + window.inputs - i];
    }
    EXPECT_EQ(scored[0], 0);
    EXPECT_EQ(std::accumulate(scored.begin(), scored.end(), 0), tokens - 1) << tokens;
    for (int64_t t = 1; t < tokens; ++t) EXPECT_EQ(scored[t], 1) << tokens << " " << t;
  }
}

TEST(EvalWindows, StridedWindowsScoreOnceAndNeverTheirFirstToken) {
  for (int64_t stride : {1, 3, 8}) {
    for (int64_t tokens : {2, 7, 8, 9, 16, 17, 61}) {
      std::vector<int> scored(tokens, 0);
      for (const EvalWindow& window :
           eval_windows(tokens, {.strided = true, .seq_len = 8, .stride = stride})) {
        EXPECT_LE(window.inputs + 1, 8);
        EXPECT_GE(window.inputs, window.scored);
        for (int64_t i = 0; i < window.scored; ++i) ++scored[window.begin + window.inputs - i];
      }
      for (int64_t t = 0; t < tokens; ++t) {
        // With stride = window the windows do not overlap, and the first token of each goes unscored.
        const bool first = stride == 8 ? t % 8 == 0 : t == 0;
        EXPECT_EQ(scored[t], first ? 0 : 1)
            << "stride " << stride << ", tokens " << tokens << ", token " << t;
      }
    }
  }
}

TEST(MeanNll, DoesNotDependOnTheBatch) {
  const LanguageModel model(
      {.attention = {"standard"}, .n_layer = 1, .n_head = 2, .n_embd = 8, .vocab_size = 11});
  std::vector<int32_t> tokens(103);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random_bits(5, i) % 11);
  const MemoryTokens text(tokens);
  const TokenMean one = mean_nll(model, text, 103, {.seq_len = 16, .batch_size = 1});
  const TokenMean many = mean_nll(model, text, 103, {.seq_len = 16, .batch_size = 5});
  EXPECT_EQ(one.tokens(), 102);
  EXPECT_EQ(many.tokens(), 102);
  EXPECT_NEAR(one.sum(), many.sum(), 1e-4);
  EXPECT_NEAR(one.mean(), std::log(11.0), 0.1);
}

/// With windows that advance by less than their length, the tokens scored stand at the window's end.
TEST(MeanNll, TellsHowMuchContextEachTokenHad) {
  const LanguageModel model(
      {.attention = {"standard"}, .n_layer = 1, .n_head = 2, .n_embd = 8, .vocab_size = 11});
  std::vector<int32_t> tokens(21);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random_bits(6, i) % 11);
  const MemoryTokens text(tokens);
  std::vector<int64_t> contexts;
  double nll = 0;
  const auto visit = [&](int64_t context, double value) {
    contexts.push_back(context);
    nll += value;
  };
  const TokenMean mean = mean_nll(model, text, 21, {.seq_len = 8}, {}, visit);
  EXPECT_DOUBLE_EQ(mean.sum(), nll);
  EXPECT_EQ(contexts, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4}));
  contexts.clear();
  mean_nll(model, text, 21, {.strided = true, .seq_len = 8, .stride = 5}, {}, visit);
  EXPECT_EQ(contexts, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3, 4, 5}));
  const Tensor whole = model.token_nll(
      Tensor::from(std::vector<int32_t>(tokens.begin(), tokens.begin() + 8), Shape{1, 8}),
      Tensor::from(std::vector<int32_t>(tokens.begin() + 1, tokens.begin() + 9), Shape{1, 8}));
  std::vector<double> first;
  mean_nll(model, text, 9, {.seq_len = 8}, {}, [&](int64_t, double value) { first.push_back(value); });
  EXPECT_EQ(first, whole.values<double>());
}

}  // namespace
}  // namespace tapestry::test
