#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "autograd/random.h"
#include "autograd/tape.h"
#include "tests/layers/attention/sequences.h"
#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Rows = std::vector<double>;

Tensor random_input(const Variant& variant, int64_t batch, int64_t tokens, DType dtype, uint64_t key = 1) {
  // Rounded to float32, so that both precisions see the same numbers.
  const Tensor x = random_tensor({batch, tokens, variant.dims.n_embd}, key, DType::float32);
  return x.to(dtype);
}

Tensor with_row(const Tensor& x, int64_t b, int64_t t, const std::function<double(double)>& change) {
  Rows values = x.values<double>();
  double* row = values.data() + (b * x.dim(1) + t) * x.dim(2);
  std::transform(row, row + x.dim(2), row, change);
  return Tensor::from(values, x.shape()).to(x.dtype());
}

/// The gradients of <layer(x), dy>: of x first, then of the parameters in their order.
std::vector<Rows> gradients(const Attention& layer, const Tensor& x, const Tensor& dy) {
  for (const NamedParameter& named : layer.parameters()) named.parameter.clear_gradient();
  Tape tape;
  const Tensor watched = tape.watch(x);
  tape.backward(layer(watched), dy);
  std::vector<Rows> all = {tape.gradient(watched).values<double>()};
  for (const auto& [name, parameter] : layer.parameters())
    all.push_back(parameter.has_gradient() ? parameter.gradient().values<double>()
                                           : Rows(parameter.shape().size()));
  return all;
}

class AttentionContract : public testing::TestWithParam<Variant> {
 protected:
  std::unique_ptr<Attention> layer(DType dtype = DType::float64) {
    root_ = std::make_unique<Module>(ModuleContext{.dtype = dtype});
    return make_attention(GetParam(), *root_);
  }
  Tensor input(int64_t batch, int64_t tokens, DType dtype = DType::float64) const {
    return random_input(GetParam(), batch, tokens, dtype);
  }
  double tolerance(DType dtype) const { return dtype == DType::float64 ? 1e-11 : 2e-5; }

  /// Changes token t of sequence 0: earlier outputs and the other sequence keep their bits, output t does
  /// not.
  void expect_causal(const Attention& layer, const Tensor& x, int64_t t) {
    const Tensor before = layer(x), after = layer(with_row(x, 0, t, [](double v) { return 3 - 2 * v; }));
    EXPECT_EQ(rows(before, 0, 0, t), rows(after, 0, 0, t)) << "an output before token " << t << " saw it";
    EXPECT_NE(rows(before, 0, t, t + 1), rows(after, 0, t, t + 1))
        << "output " << t << " did not see its token";
    for (int64_t b = 1; b < x.dim(0); ++b)
      EXPECT_EQ(rows(before, b, 0, x.dim(1)), rows(after, b, 0, x.dim(1)))
          << "another sequence saw token " << t;
  }

  std::unique_ptr<Module> root_;
};

TEST_P(AttentionContract, OutputsDoNotSeeLaterTokens) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const auto layer = this->layer(dtype);
    const int64_t tokens = 3 * GetParam().period + 2;
    for (int64_t t = 0; t < tokens; ++t) expect_causal(*layer, input(2, tokens, dtype), t);
  }
}

// Long enough for several tiles of any kernel.
TEST_P(AttentionContract, OutputsDoNotSeeLaterTokensOfLongSequences) {
  const auto layer = this->layer(DType::float32);
  for (const int64_t t : {0, 1, 63, 64, 128, 255, 256, 300, 524})
    expect_causal(*layer, input(1, 525, DType::float32), t);
}

TEST_P(AttentionContract, PrefixRunIsPrefixOfTheRun) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const auto layer = this->layer(dtype);
    const Tensor x = input(1, 1003, dtype), y = (*layer)(x);
    for (const int64_t tokens : lengths_up_to_1000(GetParam().period)) {
      EXPECT_LE(difference(rows((*layer)(prefix(x, tokens)), 0, 0, tokens), rows(y, 0, 0, tokens)),
                tolerance(dtype))
          << tokens << " tokens in " << name_of(dtype);
    }
  }
}

TEST_P(AttentionContract, LaterTokensGetNoGradient) {
  const auto layer = this->layer();
  const int64_t tokens = 2 * GetParam().period + 3, width = GetParam().dims.n_embd;
  const Tensor x = input(1, tokens);
  for (int64_t t = 0; t < tokens; ++t) {
    const Tensor dy = with_row(Tensor::zeros(x.shape(), x.dtype()), 0, t, [](double) { return 1; });
    const Rows dx = gradients(*layer, x, dy)[0];
    EXPECT_EQ(std::count(dx.begin() + (t + 1) * width, dx.end(), 0.0), (tokens - t - 1) * width)
        << "output " << t << " has a gradient to a later token";
    EXPECT_LT(std::count(dx.begin() + t * width, dx.begin() + (t + 1) * width, 0.0), width)
        << "output " << t << " has no gradient to its own token";
  }
}

TEST_P(AttentionContract, GradientsAreThoseOfFiniteDifferences) {
  const auto layer = this->layer();
  for (const int64_t tokens : {int64_t{1}, GetParam().period - 1, 2 * GetParam().period + 1}) {
    if (tokens == 0) continue;
    Tensor x = input(2, tokens);
    const Tensor dy = random_tensor(x.shape(), 5);
    const std::vector<Rows> analytic = gradients(*layer, x, dy);
    const Rows weights = dy.values<double>();
    const auto loss = [&] {
      const Rows y = (*layer)(x).values<double>();
      return std::inner_product(y.begin(), y.end(), weights.begin(), 0.0);
    };
    std::vector<std::pair<std::string, Tensor>> sources = {{"x", x}};
    for (NamedParameter& named : layer->parameters())
      sources.emplace_back(named.name, named.parameter.mutable_value());
    for (size_t source = 0; source < sources.size(); ++source) {
      auto& [name, tensor] = sources[source];
      for (int64_t check = 0; check < 12; ++check) {
        const int64_t at = random_bits(source, check) % tensor.size();
        const auto moved = [&](double shift) {
          tensor.mutable_data<double>()[at] += shift;
          const double value = loss();
          tensor.mutable_data<double>()[at] -= shift;
          return value;
        };
        const double h = 1e-4;
        const double numeric = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
        ASSERT_NEAR(analytic[source][at], numeric, 2e-7 * std::max(1.0, std::abs(numeric)))
            << name << ", element " << at << ", " << tokens << " tokens";
      }
    }
  }
}

TEST_P(AttentionContract, GradientsOfAPrefixIgnoreTheRest) {
  const auto layer = this->layer();
  const int64_t width = GetParam().dims.n_embd;
  for (const int64_t tokens : lengths_up_to_1000(GetParam().period)) {
    const Tensor x = input(1, std::max<int64_t>(100, tokens + 3)), dy = random_tensor(x.shape(), 6);
    Rows seed = dy.values<double>();
    std::fill(seed.begin() + tokens * width, seed.end(), 0.0);
    std::vector<Rows> whole = gradients(*layer, x, Tensor::from(seed, x.shape()));
    whole[0].resize(tokens * width);
    const std::vector<Rows> part = gradients(*layer, prefix(x, tokens), prefix(dy, tokens));
    for (size_t i = 0; i < part.size(); ++i)
      EXPECT_LE(difference(part[i], whole[i]), 1e-10) << "gradient " << i << " of " << tokens << " tokens";
  }
}

TEST_P(AttentionContract, SequencesOfABatchAreIndependent) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const auto layer = this->layer(dtype);
    const int64_t tokens = 2 * GetParam().period + 3;
    const Tensor x = input(3, tokens, dtype), y = (*layer)(x);
    for (int64_t b = 0; b < 3; ++b) {
      const Tensor alone = Tensor::from(rows(x, b, 0, tokens), {1, tokens, x.dim(2)}).to(dtype);
      EXPECT_LE(difference((*layer)(alone).values<double>(), rows(y, b, 0, tokens)), tolerance(dtype))
          << "sequence " << b << " in " << name_of(dtype);
    }
  }
}

TEST_P(AttentionContract, RunsGiveTheSameBits) {
  const auto layer = this->layer(DType::float32);
  const Tensor x = input(2, 300, DType::float32), dy = random_tensor(x.shape(), 8, DType::float32);
  EXPECT_EQ((*layer)(x).values<float>(), (*layer)(x).values<float>());
  EXPECT_EQ(gradients(*layer, x, dy), gradients(*layer, x, dy));
}

INSTANTIATE_TEST_SUITE_P(Attention, AttentionContract, testing::ValuesIn(variants()),
                         [](const auto& info) { return info.param.id(); });

}  // namespace
}  // namespace tapestry::test
