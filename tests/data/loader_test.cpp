#include "data/loader.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/support/expect_error.h"

namespace tapestry {
namespace {

// Token i is the number i, so a window shows where it was cut.
std::shared_ptr<const TokenSource> counting_tokens(int64_t size) {
  std::vector<int32_t> tokens(static_cast<size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 0);
  return std::make_shared<MemoryTokens>(std::move(tokens));
}

void expect_shifted(const Batch& batch) {
  ASSERT_EQ(static_cast<int64_t>(batch.tokens.size()), batch.batch_size * batch.seq_len);
  ASSERT_EQ(batch.tokens.size(), batch.targets.size());
  for (size_t i = 0; i < batch.tokens.size(); ++i) EXPECT_EQ(batch.targets[i], batch.tokens[i] + 1);
  for (int64_t row = 0; row < batch.batch_size; ++row)
    for (int64_t t = 1; t < batch.seq_len; ++t) {
      const auto at = static_cast<size_t>(row * batch.seq_len + t);
      EXPECT_EQ(batch.tokens[at], batch.tokens[at - 1] + 1);
    }
}

TEST(Loader, AnEpochHasEveryTokenAsATargetOnce) {
  for (const int64_t seq_len : {1, 7, 16, 100}) {
    for (const int64_t size : {seq_len * 10 + 1, seq_len * 10 + 2, seq_len * 11, seq_len + 1}) {
      const Loader loader(counting_tokens(size),
                          {.seq_len = seq_len, .batch_size = 1, .grad_accum = 1, .seed = 3});
      const int64_t windows = loader.windows_per_epoch();
      EXPECT_EQ(windows, (size - 1) / seq_len);
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        std::set<int32_t> targets;
        for (int64_t i = 0; i < windows; ++i) {
          const Batch batch = loader.batch(epoch * windows + i);
          expect_shifted(batch);
          targets.insert(batch.targets.begin(), batch.targets.end());
        }
        EXPECT_EQ(static_cast<int64_t>(targets.size()), windows * seq_len);
        EXPECT_EQ(*targets.rbegin() - *targets.begin() + 1, windows * seq_len);
        EXPECT_EQ(targets.count(0), 0u);
      }
    }
  }
}

TEST(Loader, NoTokenIsLeftOutForGood) {
  const Loader loader(counting_tokens(3 * 16 + 10),
                      {.seq_len = 16, .batch_size = 1, .grad_accum = 1, .seed = 1});
  std::set<int32_t> targets;
  for (int64_t step = 0; step < 3 * 200; ++step) {
    const Batch batch = loader.batch(step);
    targets.insert(batch.targets.begin(), batch.targets.end());
  }
  EXPECT_EQ(targets.size(), 3u * 16 + 9);
}

TEST(Loader, BatchesAreAPureFunctionOfSeedStepAndMicroBatch) {
  const auto tokens = counting_tokens(1000);
  const BatchOptions options{.seq_len = 9, .batch_size = 4, .grad_accum = 3, .seed = 5};
  const Loader first(tokens, options), second(tokens, options);
  second.batch(7, 2);
  for (const int64_t step : {50, 0, 3}) {
    for (int64_t micro = 0; micro < 3; ++micro) {
      expect_shifted(first.batch(step, micro));
      EXPECT_EQ(first.batch(step, micro).tokens, second.batch(step, micro).tokens);
    }
  }
  BatchOptions other = options;
  other.seed = 6;
  EXPECT_NE(first.batch(0).tokens, Loader(tokens, other).batch(0).tokens);
  EXPECT_NE(first.batch(0, 0).tokens, first.batch(0, 1).tokens);
}

TEST(Loader, MicroBatchesAreTheRowsOfTheWholeBatch) {
  const auto tokens = counting_tokens(1000);
  const Loader whole(tokens, {.seq_len = 9, .batch_size = 6, .grad_accum = 1, .seed = 5});
  const Loader parts(tokens, {.seq_len = 9, .batch_size = 2, .grad_accum = 3, .seed = 5});
  for (int64_t step = 0; step < 40; ++step) {
    std::vector<int32_t> joined;
    for (int64_t micro = 0; micro < 3; ++micro) {
      const Batch batch = parts.batch(step, micro);
      joined.insert(joined.end(), batch.tokens.begin(), batch.tokens.end());
    }
    EXPECT_EQ(joined, whole.batch(step).tokens);
  }
}

TEST(Loader, OrderIsNewEachEpoch) {
  const Loader loader(counting_tokens(101), {.seq_len = 1, .batch_size = 100, .grad_accum = 1, .seed = 5});
  EXPECT_NE(loader.batch(0).tokens, loader.batch(1).tokens);
  std::vector<int32_t> sorted = loader.batch(0).tokens;
  EXPECT_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
}

TEST(Loader, CountsTokensAndEpochs) {
  const Loader loader(counting_tokens(10 * 8 + 1),
                      {.seq_len = 8, .batch_size = 2, .grad_accum = 2, .seed = 0});
  EXPECT_EQ(loader.windows_per_epoch(), 10);
  EXPECT_EQ(loader.tokens_per_step(), 32);
  EXPECT_DOUBLE_EQ(loader.epoch(5), 2.0);
}

TEST(Loader, SaysHowManyTokensAreNeeded) {
  const BatchOptions options{.seq_len = 16};
  expect_error(Exit::input, "16 tokens are too few for one window of seq_len 16, which needs 17",
               [&] { Loader(counting_tokens(16), options); });
  expect_error(Exit::input, "0 tokens", [&] { Loader(counting_tokens(0), options); });
  EXPECT_EQ(Loader(counting_tokens(17), options).windows_per_epoch(), 1);
  expect_error(Exit::usage, "seq_len 0", [&] { Loader(counting_tokens(17), {.seq_len = 0}); });
  const Loader loader(counting_tokens(17), options);
  expect_error(Exit::usage, "micro-batch 1 of 1", [&] { loader.batch(0, 1); });
  expect_error(Exit::usage, "step -1", [&] { loader.batch(-1); });
}

}  // namespace
}  // namespace tapestry
