#include "autograd/ops/linear_cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> naive_logits(const Values& x, const Values& w) {
  const int64_t rows = x.shape.rows(), v = w.shape[0], c = w.shape[1];
  std::vector<double> logits(rows * v, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < v; ++j) {
      for (int64_t i = 0; i < c; ++i) logits[r * v + j] += x[r * c + i] * w[j * c + i];
    }
  }
  return logits;
}

/// -log softmax at the target of each row, 0 for negative targets.
std::vector<double> naive_nll(const Values& x, const Values& w, const std::vector<double>& targets) {
  const std::vector<double> logits = naive_logits(x, w);
  const int64_t v = w.shape[0];
  std::vector<double> nll;
  for (size_t r = 0; r < targets.size(); ++r) {
    double sum = 0;
    for (int64_t j = 0; j < v; ++j) sum += std::exp(logits[r * v + j]);
    nll.push_back(targets[r] < 0 ? 0 : std::log(sum) - logits[r * v + static_cast<int64_t>(targets[r])]);
  }
  return nll;
}

OpCase loss_case(std::string name, Shape x, int64_t v) {
  OpCase result;
  result.name = std::move(name);
  const Shape targets = x.rank() == 3 ? Shape{x[0], x[1]} : Shape{x[0]};
  result.inputs = {{x}, {{v, x[-1]}}, {targets, Input::Kind::tokens, v, 1, false}};
  result.op = [](const std::vector<Tensor>& in) { return linear_cross_entropy(in[0], in[1], in[2]); };
  result.reference = [](const std::vector<Values>& in) {
    const std::vector<double> nll = naive_nll(in[0], in[1], in[2].data);
    return std::vector<double>{std::accumulate(nll.begin(), nll.end(), 0.0) / nll.size()};
  };
  return result;
}

OpCase logits_case(std::string name, Shape x, int64_t v) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {{v, x[-1]}}};
  result.op = [](const std::vector<Tensor>& in) { return output_logits(in[0], in[1]); };
  result.reference = [](const std::vector<Values>& in) { return naive_logits(in[0], in[1]); };
  return result;
}

std::vector<OpCase> cases() {
  return {loss_case("cross_entropy", {2, 5, 7}, 11),    loss_case("cross_entropy_wide", {3, 6}, 2049),
          loss_case("cross_entropy_rows", {101, 3}, 2), loss_case("cross_entropy_one", {1, 1, 1}, 1),
          logits_case("output_logits", {2, 5, 7}, 13),  logits_case("output_logits_row", {1, 33}, 5)};
}

OP_TEST(CrossEntropy, cases());

Values values_of(const Tensor& x) { return {x.shape(), x.values<double>()}; }

struct Gradients {
  double loss;
  std::vector<double> x, w;
};

Gradients gradients(const Tensor& x, const Tensor& w, const Tensor& targets, double scale = 1) {
  Tape tape;
  const Tensor wx = tape.watch(x), ww = tape.watch(w);
  const Tensor loss = linear_cross_entropy(wx, ww, targets);
  tape.backward(loss, scale);
  return {loss.item(), tape.gradient(wx).values<double>(), tape.gradient(ww).values<double>()};
}

TEST(CrossEntropy, NegativeTargetsAreNotCounted) {
  const Tensor x = random_tensor({5, 4}, 1), w = random_tensor({7, 4}, 2);
  const std::vector<int32_t> targets = {3, -1, 0, 6, -100};
  const Gradients all = gradients(x, w, Tensor::from(targets, {5}));
  const std::vector<double> nll = naive_nll(values_of(x), values_of(w), {3, -1, 0, 6, -100});
  EXPECT_NEAR(all.loss, (nll[0] + nll[2] + nll[3]) / 3, 1e-12);

  std::vector<double> kept;
  for (int64_t row : {0, 2, 3}) {
    for (int64_t i = 0; i < 4; ++i) kept.push_back(x.values<double>()[row * 4 + i]);
  }
  const Gradients counted = gradients(Tensor::from(kept, {3, 4}), w, Tensor::from<int32_t>({3, 0, 6}, {3}));
  EXPECT_LE(test::difference(all.w, counted.w), 1e-12);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all.x[4 + i], 0);
    EXPECT_EQ(all.x[16 + i], 0);
    EXPECT_NEAR(all.x[8 + i], counted.x[4 + i], 1e-12);
  }
}

/// More rows than one block of logits holds.
TEST(CrossEntropy, BlocksOfRowsMakeOneGradient) {
  const int64_t rows = 100, c = 3, v = 200'001;
  const Tensor x = random_tensor({rows, c}, 1), w = random_tensor({v, c}, 2);
  std::vector<int32_t> ids(rows);
  for (int64_t i = 0; i < rows; ++i) ids[i] = static_cast<int32_t>(i * 977 % v);
  const Tensor targets = Tensor::from(ids, {rows});
  const Gradients whole = gradients(x, w, targets);
  // The composed twin: softmax of the logits minus one at the target.
  Tape tape;
  const Tensor wx = tape.watch(x), ww = tape.watch(w);
  const Tensor logits = output_logits(wx, ww);
  Tensor slope = logits.clone();
  double* row = slope.mutable_data<double>();
  double loss = 0;
  for (int64_t r = 0; r < rows; ++r, row += v) {
    double sum = 0;
    loss -= row[ids[r]] / rows;
    for (int64_t j = 0; j < v; ++j) sum += row[j] = std::exp(row[j]);
    loss += std::log(sum) / rows;
    for (int64_t j = 0; j < v; ++j) row[j] = (row[j] / sum - (j == ids[r])) / rows;
  }
  tape.backward(logits, slope);
  EXPECT_NEAR(whole.loss, loss, 1e-10);
  EXPECT_LE(test::difference(whole.x, tape.gradient(wx).values<double>()), 1e-12);
  EXPECT_LE(test::difference(whole.w, tape.gradient(ww).values<double>()), 1e-12);
}

TEST(CrossEntropy, GradientScalesWithTheIncomingOne) {
  const Tensor x = random_tensor({5, 4}, 1), w = random_tensor({7, 4}, 2);
  const Tensor targets = Tensor::from<int32_t>({3, 1, 0, 6, 2}, {5});
  Gradients once = gradients(x, w, targets);
  const Gradients scaled = gradients(x, w, targets, -2.5);
  for (double& value : once.w) value *= -2.5;
  for (double& value : once.x) value *= -2.5;
  EXPECT_LE(test::difference(scaled.w, once.w), 1e-14);
  EXPECT_LE(test::difference(scaled.x, once.x), 1e-14);
}

TEST(CrossEntropy, HugeLogitsStayFinite) {
  const Tensor x = Tensor::from<float>({1e4f, -1e4f}, {2, 1}), w = Tensor::from<float>({1, 0, -1}, {3, 1});
  const std::vector<double> nll = token_nll(x, w, Tensor::from<int32_t>({0, 0}, {2})).values<double>();
  EXPECT_EQ(nll[0], 0);
  EXPECT_NEAR(nll[1], 2e4, 1e-2);
}

TEST(TokenNll, IsOneNumberATarget) {
  const Tensor x = random_tensor({2, 3, 5}, 1), w = random_tensor({9, 5}, 2);
  const Tensor nll = token_nll(x, w, Tensor::from<int32_t>({8, 0, -1, 3, 3, 7}, {2, 3}));
  EXPECT_EQ(nll.shape(), (Shape{2, 3}));
  EXPECT_LE(
      test::difference(nll.values<double>(), naive_nll(values_of(x), values_of(w), {8, 0, -1, 3, 3, 7})),
      1e-12);
}

TEST(CrossEntropy, RefusesWrongTargets) {
  const Tensor x = Tensor::zeros({2, 3}), w = Tensor::zeros({4, 3});
  EXPECT_THROW(linear_cross_entropy(x, w, Tensor::from<int32_t>({0, 4}, {2})), Error);
  EXPECT_THROW(linear_cross_entropy(x, w, Tensor::from<int32_t>({-1, -1}, {2})), Error);
  EXPECT_THROW(linear_cross_entropy(x, w, Tensor::from<int32_t>({0}, {1})), Error);
  EXPECT_THROW(token_nll(x, Tensor::zeros({4, 2}), Tensor::from<int32_t>({0, 1}, {2})), Error);
}

}  // namespace
}  // namespace tapestry::test
