#include "autograd/ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

std::vector<double> norm_formula(const std::vector<Values>& in, double eps) {
  const Values &x = in[0], &gain = in[1];
  const int64_t c = gain.shape[-1], rows = x.shape.size() / c;
  std::vector<double> y(rows * c);
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < c; ++i) mean += x[r * c + i] / c;
    for (int64_t i = 0; i < c; ++i) square += std::pow(x[r * c + i] - mean, 2) / c;
    for (int64_t i = 0; i < c; ++i) {
      const int64_t at = (r * c + i) % gain.shape.size();
      y[r * c + i] = (x[r * c + i] - mean) / std::sqrt(square + eps) * gain[at];
      if (in.size() > 2) y[r * c + i] += in[2][at];
    }
  }
  return y;
}

OpCase layer_norm_case(std::string name, Shape x, Shape gain, bool bias, double eps = 1e-5) {
  OpCase result;
  result.name = std::move(name);
  result.inputs = {{x}, {gain}};
  if (bias) result.inputs.push_back({gain});
  result.op = [eps](const std::vector<Tensor>& in) {
    return layer_norm(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), eps);
  };
  result.reference = [eps](const std::vector<Values>& in) { return norm_formula(in, eps); };
  return result;
}

std::vector<OpCase> cases() {
  return {layer_norm_case("layer_norm", {2, 5, 7}, {7}, true),
          layer_norm_case("layer_norm_no_bias", {3, 33}, {33}, false, 0.1),
          layer_norm_case("layer_norm_blocks", {3, 63, 17}, {17}, true),
          layer_norm_case("layer_norm_heads", {33, 15}, {3, 5}, true),
          layer_norm_case("layer_norm_wide", {2, 1000}, {1000}, true)};
}

OP_TEST(LayerNormOp, cases());

TEST(LayerNormOp, KeepsItsAccuracyFarFromZero) {
  const int64_t c = 768;
  const Tensor x = random_tensor({1, c}, 3), gain = Tensor::full({c}, 1, DType::float64);
  std::vector<double> shifted = x.values<double>();
  for (double& value : shifted) value += 1000;
  const Tensor far = Tensor::from(shifted, x.shape()).to(DType::float32);
  const std::vector<double> expected = layer_norm(far.to(DType::float64), gain).values<double>();
  EXPECT_LT(test::difference(layer_norm(far, gain.to(DType::float32)).values<double>(), expected), 1e-4);
}

TEST(LayerNormOp, RefusesGainsThatDoNotFit) {
  const Tensor x = Tensor::zeros({2, 3, 4});
  EXPECT_THROW(layer_norm(x, Tensor::zeros({3})), Error);
  EXPECT_THROW(layer_norm(x, Tensor::zeros({4}), Tensor::zeros({3})), Error);
  EXPECT_THROW(layer_norm(x, Tensor::zeros({3, 4})), Error);
}

}  // namespace
}  // namespace tapestry::test
