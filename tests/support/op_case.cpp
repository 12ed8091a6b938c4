#include "tests/support/op_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "autograd/random.h"
#include "autograd/tape.h"

namespace tapestry::test {
namespace {

std::vector<OpCase>& all_cases() {
  static std::vector<OpCase> cases;
  return cases;
}

double value_at(const Input& input, uint64_t key, int64_t i) {
  switch (input.kind) {
    case Input::Kind::positive:
      return input.scale * (1 - random_uniform(key, i));
    case Input::Kind::tokens:
      return static_cast<double>(random_bits(key, i) % input.vocab);
    default:
      return input.scale * random_normal(key, i);
  }
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// One output in place of two equal ones: its gradient goes to both.
Tensor join_outputs(const Tensor& a, const Tensor& b) {
  Tensor both = a.detach();
  record("join", {a, b}, both, {}, [](BackwardStep& step) {
    step.add(0, step.gradient());
    step.add(1, step.gradient());
  });
  return both;
}

/// d <op(inputs), dy> / d inputs[which], by the tape; with `twice`, the op runs two times on the same inputs,
/// so that the second has to add to the gradient of the first.
std::vector<double> analytic_gradient(const OpCase& op, std::vector<Tensor> inputs, size_t which,
                                      const Tensor& dy, bool twice = false) {
  Tape tape;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (op.inputs[i].differentiate) inputs[i] = tape.watch(inputs[i]);
  }
  Tensor y = op.op(inputs);
  if (twice) y = join_outputs(y, op.op(inputs));
  tape.backward(y, dy);
  return tape.gradient(inputs[which]).values<double>();
}

/// The same by central differences of fourth order.
double numeric_gradient(const OpCase& op, const std::vector<Tensor>& inputs, size_t which, int64_t at,
                        const std::vector<double>& dy) {
  const auto loss = [&](double shift) {
    std::vector<Tensor> moved = inputs;
    moved[which] = inputs[which].clone();
    moved[which].mutable_data<double>()[at] += shift;
    return dot(op.op(moved).values<double>(), dy);
  };
  const double h = 1e-3;
  return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
}

}  // namespace

const std::vector<OpCase>& op_table() { return all_cases(); }

OpResults run_case(const OpCase& op, DType dtype, Device device) {
  std::vector<Tensor> inputs = make_inputs(op, dtype);
  Tape tape;
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = inputs[i].to(device);
    if (op.inputs[i].differentiate) inputs[i] = tape.watch(inputs[i]);
  }
  const Tensor first = op.op(inputs), y = join_outputs(first, op.op(inputs));
  OpResults results{y.values<double>(), {}};
  tape.backward(y, random_tensor(y.shape(), 77).to(dtype).to(device));
  for (size_t i = 0; i < inputs.size(); ++i) {
    results.gradients.emplace_back();
    if (op.inputs[i].differentiate) results.gradients[i] = tape.gradient(inputs[i]).values<double>();
  }
  return results;
}

std::vector<Tensor> make_inputs(const OpCase& op, DType dtype, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (const Input& input : op.inputs) {
    const uint64_t key = combine_keys(seed, inputs.size());
    std::vector<double> values(input.shape.size());
    // Rounded to float32, so that both precisions see the same numbers.
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(value_at(input, key, i));
    const Tensor tensor = Tensor::from(values, input.shape);
    inputs.push_back(tensor.to(input.kind == Input::Kind::tokens ? DType::int32 : dtype));
  }
  return inputs;
}

double difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0, largest = 1;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return worst / largest;
}

Tensor random_tensor(Shape shape, uint64_t key, DType dtype, double scale) {
  std::vector<double> values(shape.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = scale * random_normal(key, i);
  return Tensor::from(values, shape).to(dtype);
}

void expect_values(const OpCase& op) {
  std::vector<Values> values;
  for (const Tensor& input : make_inputs(op, DType::float64))
    values.push_back({input.shape(), input.values<double>()});
  const std::vector<double> expected = op.reference(values);
  EXPECT_LE(difference(op.op(make_inputs(op, DType::float64)).values<double>(), expected), op.tolerance64)
      << "float64";
  EXPECT_LE(difference(op.op(make_inputs(op, DType::float32)).values<double>(), expected), op.tolerance32)
      << "float32";
}

void expect_gradient(const OpCase& op) {
  const std::vector<Tensor> inputs = make_inputs(op, DType::float64);
  const Tensor dy = random_tensor(op.op(inputs).shape(), 77);
  const std::vector<double> weights = dy.values<double>();
  for (size_t which = 0; which < inputs.size(); ++which) {
    if (!op.inputs[which].differentiate) continue;
    const std::vector<double> analytic = analytic_gradient(op, inputs, which, dy);
    const std::vector<double> analytic32 =
        analytic_gradient(op, make_inputs(op, DType::float32), which, dy.to(DType::float32));
    std::vector<double> twice = analytic_gradient(op, inputs, which, dy, true);
    for (double& value : twice) value /= 2;
    EXPECT_LE(difference(twice, analytic), op.tolerance64) << "added gradient of input " << which;
    EXPECT_LE(difference(analytic32, analytic), 10 * op.tolerance32) << "float32 gradient of input " << which;
    const int64_t checks = std::min<int64_t>(inputs[which].size(), 40);
    for (int64_t i = 0; i < checks; ++i) {
      const int64_t at =
          checks == inputs[which].size() ? i : random_bits(which + 5, i) % inputs[which].size();
      const double numeric = numeric_gradient(op, inputs, which, at, weights);
      ASSERT_NEAR(analytic[at], numeric, op.gradient_tolerance * std::max(1.0, std::abs(numeric)))
          << op.name << ": input " << which << ", element " << at;
    }
  }
}

void expect_cuda(const OpCase& op) {
  if (cuda_devices() == 0)
    GTEST_SKIP() << "gpu: " << (built_with_cuda() ? "no device" : "built without CUDA");
  for (const DType dtype : {DType::float64, DType::float32}) {
    const OpResults on_cpu = run_case(op, dtype), on_cuda = run_case(op, dtype, Device::cuda());
    const double tolerance = dtype == DType::float64 ? op.tolerance64 : op.tolerance32;
    EXPECT_LE(difference(on_cuda.values, on_cpu.values), tolerance) << name_of(dtype);
    for (size_t i = 0; i < on_cpu.gradients.size(); ++i) {
      EXPECT_LE(difference(on_cuda.gradients[i], on_cpu.gradients[i]), 10 * tolerance)
          << name_of(dtype) << " gradient of input " << i;
    }
  }
}

std::vector<OpCase> register_cases(std::vector<OpCase> cases) {
  // A suite's cases come once for each of its tests, in a row.
  std::vector<OpCase>& all = all_cases();
  const bool again = all.size() >= cases.size() &&
                     std::equal(cases.begin(), cases.end(), all.end() - std::ssize(cases),
                                [](const OpCase& a, const OpCase& b) { return a.name == b.name; });
  if (!again) all.insert(all.end(), cases.begin(), cases.end());
  return cases;
}

void time_ops() {
  using Clock = std::chrono::steady_clock;
  std::printf("%-40s %14s\n", "op", "us forward");
  for (const OpCase& op : all_cases()) {
    const std::vector<Tensor> inputs = make_inputs(op, DType::float32);
    std::vector<double> times;
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto start = Clock::now();
      op.op(inputs);
      times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%-40s %14.1f\n", op.name.c_str(), times[times.size() / 2]);
  }
}

std::ostream& operator<<(std::ostream& out, const OpCase& op) { return out << op.name; }

}  // namespace tapestry::test
