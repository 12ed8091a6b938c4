#include <gtest/gtest.h>

#include <numeric>

#include "autograd/tape.h"
#include "tests/layers/attention/sequences.h"
#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"
#include "tests/support/slope.h"

namespace tapestry::test {
namespace {

/// One more than 2^16, where indices of 16 bits and products of 32 bits overflow.
constexpr int64_t kTokens = 65537, kWidth = 4;
constexpr AttentionDims kDims{.n_embd = kWidth, .n_head = 1};
constexpr AttentionDims kRotary{.n_embd = kWidth, .n_head = 1, .rotary = true};

/// Of so many blocks that small steps change which are read: no gradient test.
Variant small_blocks() { return {"bsbr", "tokens_small_blocks", {{"block", "8"}}, kRotary, 128}; }

/// Those whose cost does not grow with the square of the length.
std::vector<Variant> linear_cost_variants() {
  return {
      {"linear", "default", {}, kDims, 64},
      {"delta_net", "default", {}, kDims, 64},
      {"gau", "default", {{"s", "4"}}, kRotary, 128},
      {"sliding_window", "sink", {{"window", "64"}, {"sink", "3"}}, kRotary, 64},
      {"bsbr", "tokens", {{"block", "chunk"}}, kRotary, 128},
      {"bsbr", "state", {{"read", "state"}}, kRotary, 128},
      {"bsbr", "local", {{"topk", "0"}}, kRotary, 128},
  };
}

class LongSequence : public testing::TestWithParam<Variant> {
 protected:
  static Tensor input() { return random_tensor({1, kTokens, kWidth}, 5); }
  std::vector<double> output(const Tensor& x) const { return (*layer_)(x).values<double>(); }

  Module root_{ModuleContext{.dtype = DType::float64}};
  std::unique_ptr<Attention> layer_ = make_attention(GetParam(), root_);
};

// In pieces every kernel works on lengths that other tests hold against naive forms.
class LongPieces : public LongSequence {};
TEST_P(LongPieces, GiveTheWhole) {
  constexpr int64_t kPiece = 1021;
  const Tensor x = input();
  AttentionState state = layer_->begin_state();
  AttentionState* const states[] = {&state};
  std::vector<double> pieces;
  for (int64_t t = 0; t < kTokens; t += kPiece) {
    const auto y = layer_->extend(part(x, t, std::min(t + kPiece, kTokens)), states).values<double>();
    pieces.insert(pieces.end(), y.begin(), y.end());
  }
  EXPECT_LE(difference(output(x), pieces), 1e-10);
}

/// Random for some tokens of the second half, on both sides of where chunks begin, zero for the others: so
/// few that no small step changes which chunks they retrieve.
Tensor sampled_output_gradient(int64_t period) {
  const int64_t middle = (kTokens / 2 / period + 1) * period, last = kTokens / period * period;
  std::vector<double> dy(kTokens * kWidth, 0.0);
  for (const int64_t t : {middle - 1, middle, middle + 1, last - period, last - 1, last, kTokens - 1}) {
    for (int64_t i = t * kWidth; i < (t + 1) * kWidth; ++i) dy[i] = random_normal(9, i);
  }
  return Tensor::from(dy, {1, kTokens, kWidth});
}

Tensor gradient_of(const Attention& layer, const Tensor& x, const Tensor& dy) {
  Tape tape;
  const Tensor watched = tape.watch(x);
  tape.backward(layer(watched), dy);
  return tape.gradient(watched);
}

TEST_P(LongSequence, GradientsAreThoseOfFiniteDifferences) {
  const Tensor x = input(), dy = sampled_output_gradient(GetParam().period);
  const Tensor dx = gradient_of(*layer_, x, dy);
  const std::vector<double> weights = dy.values<double>();
  const auto loss = [&] {
    const std::vector<double> y = output(x);
    return std::inner_product(y.begin(), y.end(), weights.begin(), 0.0);
  };
  std::vector<NamedParameter> parameters = layer_->parameters();
  std::erase_if(parameters, [](const NamedParameter& named) { return !named.parameter.has_gradient(); });
  std::vector<Movable> near = movable(parameters);
  const int64_t half = x.size() / 2;
  near.push_back({x, dx, half, x.size()});
  constexpr double rounding = 1e-9;  // what losses of about 1 lose, divided by the step
  expect_slope(near, loss, rounding);
  expect_slope({{x, dx, 0, half}}, loss, rounding);  // far away, where what is left of the past is small
}

INSTANTIATE_TEST_SUITE_P(Attention, LongSequence, testing::ValuesIn(linear_cost_variants()),
                         [](const auto& info) { return info.param.id(); });
INSTANTIATE_TEST_SUITE_P(Attention, LongPieces, testing::ValuesIn(linear_cost_variants()),
                         [](const auto& info) { return info.param.id(); });
INSTANTIATE_TEST_SUITE_P(SmallBlocks, LongPieces, testing::Values(small_blocks()),
                         [](const auto& info) { return info.param.id(); });

}  // namespace
}  // namespace tapestry::test
