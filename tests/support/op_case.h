#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tensor.h"

namespace tapestry::test {

/// One input of an op under test.
struct Input {
  Shape shape;
  enum class Kind { normal, positive, tokens } kind = Kind::normal;
  int64_t vocab = 0;  // tokens: values lie in [0, vocab)
  double scale = 1;   // normal: standard deviation; positive: values lie in (0, scale]
  bool differentiate = true;
};

/// A float64 view of an input, for naive references.
struct Values {
  Shape shape;
  std::vector<double> data;
  double operator[](int64_t i) const { return data[i]; }
};

/// One op at one set of shapes. It drives four checks: values against `reference` in both precisions,
/// gradient by central differences in float64 with a random output gradient, CPU against CUDA where there is
/// a device, and timing (`tapestry_tests --time-ops`).
struct OpCase {
  std::string name;
  std::vector<Input> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> op;
  /// Naive, in double, written from the formula; returns the output in row-major order.
  std::function<std::vector<double>(const std::vector<Values>&)> reference;
  double tolerance64 = 1e-10;
  double tolerance32 = 1e-5;
  double gradient_tolerance = 1e-6;
};

void expect_values(const OpCase& op);
void expect_gradient(const OpCase& op);
void expect_cuda(const OpCase& op);

/// Random inputs of a case, the same in every precision.
std::vector<Tensor> make_inputs(const OpCase& op, DType dtype, uint64_t seed = 1);
/// max |a - b| / max(1, max |b|), infinite when one is not finite: ATTENTION section 0.4.
double difference(const std::vector<double>& a, const std::vector<double>& b);
/// A tensor of normal random numbers.
Tensor random_tensor(Shape shape, uint64_t key, DType dtype = DType::float64, double scale = 1);

/// Adds cases to the table that --time-ops runs; returns them for INSTANTIATE.
std::vector<OpCase> register_cases(std::vector<OpCase> cases);
void time_ops();

std::ostream& operator<<(std::ostream& out, const OpCase& op);

}  // namespace tapestry::test

/// Defines the tests of the cases that the function call `cases` returns.
#define OP_TEST(suite, cases)                                                                   \
  class suite : public testing::TestWithParam<tapestry::test::OpCase> {};                       \
  TEST_P(suite, Values) { tapestry::test::expect_values(GetParam()); }                          \
  TEST_P(suite, Gradient) { tapestry::test::expect_gradient(GetParam()); }                      \
  TEST_P(suite, Cuda) { tapestry::test::expect_cuda(GetParam()); }                              \
  INSTANTIATE_TEST_SUITE_P(Op, suite, testing::ValuesIn(tapestry::test::register_cases(cases)), \
                           [](const auto& info) { return info.param.name; })
