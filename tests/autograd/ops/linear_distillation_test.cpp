#include "autograd/ops/linear_distillation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

/// log softmax of (row of x) W^T / temperature.
std::vector<double> log_softmax(const Values& x, const Values& w, int64_t row, double temperature) {
  const int64_t v = w.shape[0], c = w.shape[1];
  std::vector<double> logits(v, 0.0);
  double sum = 0;
  for (int64_t j = 0; j < v; ++j) {
    for (int64_t i = 0; i < c; ++i) logits[j] += x[row * c + i] * w[j * c + i] / temperature;
    sum += std::exp(logits[j]);
  }
  for (double& logit : logits) logit -= std::log(sum);
  return logits;
}

struct Means {
  double nll = 0, kl = 0;
};

/// Inputs x, W, the teacher's, targets.
Means naive_means(const std::vector<Values>& in, double temperature) {
  Means means;
  double counted = 0;
  for (size_t row = 0; row < in[4].data.size(); ++row) {
    const double target = in[4].data[row];
    if (target < 0) continue;
    ++counted;
    means.nll -= log_softmax(in[0], in[1], row, 1)[static_cast<size_t>(target)];
    const auto p = log_softmax(in[2], in[3], row, temperature);
    const auto q = log_softmax(in[0], in[1], row, temperature);
    for (size_t j = 0; j < p.size(); ++j) means.kl += std::exp(p[j]) * (p[j] - q[j]);
  }
  return {means.nll / counted, means.kl / counted};
}

OpCase distillation_case(std::string name, Shape x, int64_t teacher_width, int64_t v,
                         DistillationOptions options) {
  OpCase result;
  result.name = std::move(name);
  const Shape targets = x.rank() == 3 ? Shape{x[0], x[1]} : Shape{x[0]};
  result.inputs = {{x},
                   {{v, x[-1]}},
                   {targets.append(teacher_width), Input::Kind::normal, 0, 1, false},
                   {{v, teacher_width}, Input::Kind::normal, 0, 1, false},
                   {targets, Input::Kind::tokens, v, 1, false}};
  result.op = [options](const std::vector<Tensor>& in) {
    return linear_distillation(in[0], in[1], in[2], in[3], in[4], options).loss;
  };
  result.reference = [options](const std::vector<Values>& in) {
    const Means means = naive_means(in, options.temperature);
    return std::vector<double>{(1 - options.weight) * means.nll +
                               options.weight * options.temperature * options.temperature * means.kl};
  };
  return result;
}

std::vector<OpCase> cases() {
  return {distillation_case("half", {2, 5, 7}, 7, 11, {0.5, 1}),
          distillation_case("soft", {2, 5, 7}, 4, 13, {0.7, 2.5}),
          distillation_case("teacher_alone", {3, 6}, 9, 1031, {1, 0.8}),
          distillation_case("data_alone", {9, 3}, 3, 2, {0, 3}),
          distillation_case("one", {1, 1, 1}, 1, 1, {0.5, 1})};
}

OP_TEST(Distillation, cases());

struct Student {
  Tensor x = random_tensor({5, 4}, 1), w = random_tensor({7, 4}, 2);
  Tensor teacher_x = random_tensor({5, 3}, 3), teacher_w = random_tensor({7, 3}, 4);

  struct Found {
    DistilledLoss loss;
    std::vector<double> dx, dw;
  };
  Found learn(const std::vector<int32_t>& targets, const DistillationOptions& options) const {
    Tape tape;
    const Tensor wx = tape.watch(x), ww = tape.watch(w);
    const Tensor shaped = Tensor::from(targets, {static_cast<int64_t>(targets.size())});
    const DistilledLoss loss = linear_distillation(wx, ww, teacher_x, teacher_w, shaped, options);
    tape.backward(loss.loss);
    return {loss, tape.gradient(wx).values<double>(), tape.gradient(ww).values<double>()};
  }
};

TEST(Distillation, TellsBothMeansOfTheCountedTargets) {
  const Student student;
  const auto values = [](const Tensor& x) { return Values{x.shape(), x.values<double>()}; };
  const Means means = naive_means({values(student.x),
                                   values(student.w),
                                   values(student.teacher_x),
                                   values(student.teacher_w),
                                   {{5}, {3, -1, 0, 6, -2}}},
                                  2);
  const auto found = student.learn({3, -1, 0, 6, -2}, {0.25, 2});
  EXPECT_NEAR(found.loss.nll, means.nll, 1e-12);
  EXPECT_NEAR(found.loss.kl, means.kl, 1e-12);
  EXPECT_NEAR(found.loss.loss.item(), 0.75 * means.nll + 0.25 * 4 * means.kl, 1e-12);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(found.dx[4 + i], 0);
    EXPECT_EQ(found.dx[16 + i], 0);
  }
}

TEST(Distillation, WithoutATeachersWeightItIsCrossEntropy) {
  const Student student;
  const auto found = student.learn({3, 1, 0, 6, 2}, {0, 1});
  Tape tape;
  const Tensor wx = tape.watch(student.x), ww = tape.watch(student.w);
  const Tensor loss = linear_cross_entropy(wx, ww, Tensor::from<int32_t>({3, 1, 0, 6, 2}, {5}));
  tape.backward(loss);
  EXPECT_NEAR(found.loss.loss.item(), loss.item(), 1e-12);
  EXPECT_LE(difference(found.dx, tape.gradient(wx).values<double>()), 1e-12);
  EXPECT_LE(difference(found.dw, tape.gradient(ww).values<double>()), 1e-12);
}

TEST(Distillation, AStudentThatIsItsTeacherHasNothingToLearnFromIt) {
  Student student;
  student.teacher_x = student.x;
  student.teacher_w = student.w;
  const auto found = student.learn({3, 1, 0, 6, 2}, {1, 2});
  EXPECT_NEAR(found.loss.kl, 0, 1e-14);
  for (const double g : found.dw) EXPECT_NEAR(g, 0, 1e-14);
}

/// More rows than one block of logits holds, against the same rows in two calls.
TEST(Distillation, BlocksOfRowsMakeOneGradient) {
  const int64_t rows = 90, half = rows / 2, v = 200'001;
  Student student;
  student.w = random_tensor({v, 2}, 2);
  student.teacher_w = random_tensor({v, 1}, 4);
  const auto run = [&](int64_t first, int64_t count) {
    Student part = student;
    std::vector<double> x, teacher;
    for (int64_t i = 2 * first; i < 2 * (first + count); ++i) x.push_back(random_normal(1, i));
    for (int64_t i = first; i < first + count; ++i) teacher.push_back(random_normal(3, i));
    part.x = Tensor::from(x, {count, 2});
    part.teacher_x = Tensor::from(teacher, {count, 1});
    std::vector<int32_t> targets;
    for (int64_t i = first; i < first + count; ++i) targets.push_back(static_cast<int32_t>(i * 977 % v));
    return part.learn(targets, {0.5, 2});
  };
  const auto whole = run(0, rows), low = run(0, half), high = run(half, half);
  EXPECT_NEAR(whole.loss.loss.item(), (low.loss.loss.item() + high.loss.loss.item()) / 2, 1e-12);
  std::vector<double> dw(low.dw);
  for (size_t i = 0; i < dw.size(); ++i) dw[i] = (dw[i] + high.dw[i]) / 2;
  EXPECT_LE(difference(whole.dw, dw), 1e-14);
}

TEST(Distillation, HugeLogitsStayFinite) {
  Student student;
  for (Tensor* x : {&student.x, &student.teacher_x}) *x = random_tensor(x->shape(), 9, DType::float64, 1e4);
  const auto found = student.learn({3, 1, 0, 6, 2}, {0.5, 1});
  EXPECT_TRUE(std::isfinite(found.loss.kl) && std::isfinite(found.loss.nll));
  for (const double g : found.dx) EXPECT_TRUE(std::isfinite(g));
}

TEST(Distillation, RefusesShapesThatDoNotFit) {
  Student student;
  student.teacher_w = random_tensor({8, 3}, 4);
  EXPECT_THROW(student.learn({3, 1, 0, 6, 2}, {}), Error);
  EXPECT_THROW(Student().learn({3, 1, 0, 6}, {}), Error);
  EXPECT_THROW(Student().learn({3, 1, 0, 7, 2}, {}), Error);
  EXPECT_THROW(Student().learn({-1, -1, -1, -1, -1}, {}), Error);
}

}  // namespace
}  // namespace tapestry::test
