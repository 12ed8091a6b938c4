#include "layers/attention/state.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "layers/attention/attention.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

Tensor counted(int64_t first, int64_t count) {
  std::vector<float> values;
  for (int64_t i = first; i < first + count; ++i) values.insert(values.end(), {float(i), -float(i)});
  return Tensor::from(values, {1, count, 2});
}

TEST(StateRows, KeepsPinnedAndLastRowsInOrder) {
  const Keep keep = [](int64_t position) {
    const int64_t pinned = std::min<int64_t>(3, position);
    return KeptRows{pinned, std::max(position - 5, pinned), position};
  };
  StateRows rows("k", 2, keep, {});
  for (int64_t t = 0; t < 100;) {
    const int64_t count = std::min<int64_t>(1 + t % 4, 100 - t);
    rows.append(counted(t, count));
    t += count;
    rows.settle(t);
    const KeptRows kept = rows.kept();
    const auto packed = rows.packed().values<float>();
    for (int64_t i = 0; i < kept.count(); ++i)
      ASSERT_EQ(packed[2 * i], i < kept.pinned ? i : kept.begin + i - kept.pinned) << t;
    const float* data = rows.data().data<float>();
    for (int64_t i = kept.begin; i < kept.end; ++i) ASSERT_EQ(data[2 * (i - rows.gap())], i) << t;
  }
  EXPECT_EQ(rows.kept().count(), 8);
  EXPECT_LE(rows.data().dim(0), 24);
}

TEST(StateRows, RoomGrowsByAShareSoThatARowCostsTheSame) {
  StateRows rows("k", 2, keep_all, {});
  int64_t moves = 0;
  const void* before = nullptr;
  for (int64_t t = 0; t < 10000; ++t) {
    rows.append(counted(t, 1));
    const void* now = rows.data().data<float>();
    moves += now != before;
    before = now;
  }
  EXPECT_LE(moves, 30);
}

TEST(StateRows, RowsOfAnotherWidthAreRefused) {
  StateRows rows("k", 3, keep_all, {});
  EXPECT_THROW(rows.append(counted(0, 1)), Error);
}

/// Bytes that a layer of width 32 with 4 heads keeps after `position` tokens.
int64_t bytes_of(const std::string& kind, std::vector<std::pair<std::string, std::string>> options,
                 int64_t position) {
  Module root;
  Config config;
  for (const auto& [key, value] : options) config.set(kind + "." + key, value, "test");
  const auto layer = attention_kind(kind).make(root, {.n_embd = 32, .n_head = 4}, config, 0);
  AttentionState state = layer->begin_state();
  AttentionState* const states[] = {&state};
  for (int64_t t = 0, count; t < position; t += count) {
    count = std::min<int64_t>(position - t, 29);
    layer->extend(random_tensor({1, count, 32}, 1 + t, DType::float32), states);
  }
  EXPECT_GE(state.held_bytes(), state.used_bytes());
  return state.used_bytes();
}

constexpr int64_t C = 32, d = 8;

// ATTENTION section 9, the last column. A window keeps the w - 1 tokens that the next one sees, and no token
// twice.
TEST(StateBytes, AreThoseOfTheFormulas) {
  for (const int64_t T : {1, 15, 16, 17, 63, 64, 100, 300}) {
    EXPECT_EQ(bytes_of("standard", {}, T), 8 * T * C);
    EXPECT_EQ(bytes_of("hopfield", {{"steps", "2"}}, T), 8 * T * C);
    EXPECT_EQ(bytes_of("sliding_window", {{"window", "20"}, {"sink", "6"}}, T),
              8 * C * std::min<int64_t>(T, 19 + 6));
    EXPECT_EQ(bytes_of("linear", {}, T), 4 * (C * d + C));
    EXPECT_EQ(bytes_of("delta_net", {{"conv", "4"}}, T), 4 * C * d + 12 * C * std::min<int64_t>(T, 3));
    EXPECT_EQ(bytes_of("gau", {{"chunk", "16"}, {"e", "64"}, {"s", "24"}}, T),
              8 * 24 * 64 + 4 * (T % 16) * (24 + 64));
    const int64_t c = 16, chunks = T / c, o = 5, s = 3;
    const int64_t local = std::min(T, s + std::min(T - T % c, o) + T % c);
    EXPECT_EQ(bytes_of("bsbr", {{"read", "state"}, {"chunk", "16"}, {"overlap", "5"}, {"sink", "3"}}, T),
              4 * (chunks * (C * d + C) + 2 * C * d + 2 * C * local))
        << T;
    // All tokens for what is retrieved, and the local ones once more, whose keys may be turned otherwise.
    EXPECT_EQ(bytes_of("bsbr", {{"chunk", "16"}, {"block", "4"}, {"overlap", "5"}, {"sink", "3"}}, T),
              8 * T * C + 8 * local * C + 4 * C * (T / 4 + 1))
        << T;
    EXPECT_EQ(
        bytes_of("bsbr", {{"read", "state"}, {"chunk", "16"}, {"overlap", "0"}, {"compression", "10"}}, T),
        4 * (chunks * (4 * 10 + C) + 2 * C * d + 2 * C * (T % c)));
  }
}

}  // namespace
}  // namespace tapestry::test
