#include "eval/bench.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tapestry {
namespace {

const ModelOptions small_model = {
    .attention = {"standard"}, .n_layer = 2, .n_head = 2, .n_embd = 16, .vocab_size = 50};

TEST(Bench, MedianIsTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({7}), 7);
  EXPECT_THROW(median({}), Error);
}

TEST(Bench, FindsTheExponentOfAPowerLaw) {
  const std::vector<double> x = {100, 200, 400, 1000};
  std::vector<double> y, noisy;
  for (size_t i = 0; i < x.size(); ++i) {
    y.push_back(3e-5 * std::pow(x[i], 1.7));
    noisy.push_back(y[i] * (i % 2 ? 1.02 : 0.98));
  }
  EXPECT_NEAR(fitted_exponent(x, y), 1.7, 1e-12);
  EXPECT_NEAR(fitted_exponent(x, noisy), 1.7, 0.03);
  EXPECT_NEAR(fitted_exponent(x, {5, 5, 5, 5}), 0, 1e-12);
  EXPECT_TRUE(std::isnan(fitted_exponent({100, 100}, {1, 2})));
}

TEST(Bench, AStepTakesAllThatTrainingHolds) {
  int runs = 0;
  const BenchFigures figures = bench(small_model, {}, {.batch_size = 2, .seq_len = 24},
                                     {.warmup = 2, .repeats = 3, .after_run = [&] { ++runs; }});
  EXPECT_EQ(runs, 5);
  for (const Timing& timing : {figures.run, figures.products}) {
    EXPECT_GT(timing.fastest, 0);
    EXPECT_GE(timing.median, timing.fastest);
    EXPECT_GE(timing.processor, 0);
  }
  const LanguageModel model(small_model);
  // Weights, gradients and the two moments of AdamW stay; what the tape saved is part of what goes.
  EXPECT_GE(figures.peak_bytes - figures.run_bytes, 4 * 4 * model.parameter_count());
  EXPECT_GE(figures.run_bytes, figures.saved_bytes);
  EXPECT_GE(figures.saved_bytes, 4 * 2 * 24 * small_model.n_layer * 8 * small_model.n_embd);
  EXPECT_GT(figures.peak_resident_bytes, figures.peak_bytes);
}

TEST(Bench, ShareComparesTheRatesOfMultiplications) {
  BenchFigures figures{.run = {.median = 4, .fastest = 3, .processor = 8},
                       .products = {.median = 2, .fastest = 2, .processor = 5},
                       .product_flops = 100,
                       .attention_flops = 20};
  EXPECT_DOUBLE_EQ(figures.gemm_share(), (120.0 / 4) / (100.0 / 2));
  EXPECT_DOUBLE_EQ(figures.gemm_share(&Timing::processor), (120.0 / 8) / (100.0 / 5));
}

TEST(Bench, ForwardSavesNothingAndMakesNoGradients) {
  const StepShape shape{.batch_size = 1, .seq_len = 24, .training = false};
  const BenchFigures figures = bench(small_model, {}, shape, {.repeats = 1});
  const LanguageModel model(small_model);
  EXPECT_EQ(figures.saved_bytes, 0);
  EXPECT_GE(figures.peak_bytes, 4 * model.parameter_count());
  EXPECT_LT(figures.peak_bytes - figures.run_bytes, 2 * 4 * model.parameter_count());
  EXPECT_GT(figures.run.median, 0);
}

}  // namespace
}  // namespace tapestry
