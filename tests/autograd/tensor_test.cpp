#include "autograd/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/parameter.h"

namespace tapestry::test {
namespace {

TEST(Shape, AxesCountFromBothEnds) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 5);
  EXPECT_EQ(shape.size(), 30);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(Shape{}.size(), 1);
  EXPECT_EQ(shape.with_last(7), (Shape{2, 3, 7}));
  EXPECT_EQ(shape.append(7), (Shape{2, 3, 5, 7}));
  EXPECT_TRUE(shape.ends_with({3, 5}));
  EXPECT_TRUE(shape.ends_with({}));
  EXPECT_FALSE(shape.ends_with({2, 3}));
  EXPECT_FALSE(shape.ends_with({1, 2, 3, 5}));
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6}), Error);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}.append(6)), Error);
}

TEST(Tensor, ReshapeAndCopiesShareWhatCloneDoesNot) {
  Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor flat = x.reshape({6}), copy = x, cloned = x.clone();
  x.mutable_data<float>()[4] = -1;
  EXPECT_EQ(flat.values<float>()[4], -1);
  EXPECT_EQ(copy.values<float>()[4], -1);
  EXPECT_EQ(cloned.values<float>()[4], 5);
  EXPECT_THROW(x.reshape({5}), Error);
}

TEST(Tensor, ConvertsBetweenTypes) {
  const Tensor x = Tensor::from<double>({1.5, -2.25}, {2});
  EXPECT_EQ(x.to(DType::float32).dtype(), DType::float32);
  EXPECT_EQ(x.to(DType::float32).values<double>(), (std::vector<double>{1.5, -2.25}));
  EXPECT_EQ(x.to(DType::int32).values<int32_t>(), (std::vector<int32_t>{1, -2}));
  EXPECT_EQ(x.to(DType::float64).storage(), x.storage());
}

TEST(Tensor, FillsAndCopies) {
  Tensor x = Tensor::full({3}, 2.5);
  EXPECT_EQ(x.values<double>(), (std::vector<double>{2.5, 2.5, 2.5}));
  EXPECT_EQ(Tensor::zeros({2}, DType::int32).values<int32_t>(), (std::vector<int32_t>{0, 0}));
  x.copy_from(Tensor::from<float>({1, 2, 3}, {3}));
  EXPECT_EQ(x.values<double>(), (std::vector<double>{1, 2, 3}));
  EXPECT_THROW(x.copy_from(Tensor::zeros({2})), Error);
  EXPECT_THROW(x.copy_from(Tensor::zeros({3}, DType::float64)), Error);
  EXPECT_EQ(Tensor::full({1, 1}, 4).item(), 4);
  EXPECT_THROW(x.item(), Error);
}

TEST(Tensor, RefusesTheWrongType) {
  const Tensor x = Tensor::zeros({2});
  EXPECT_THROW(x.data<double>(), Error);
  EXPECT_THROW(Tensor().data<float>(), Error);
  EXPECT_THROW(Tensor::from<float>({1, 2}, {3}), Error);
  EXPECT_THROW(for_float(DType::int32, [](auto) {}), Error);
}

TEST(Tensor, FreshMemoryIsPoisonedInTests) { EXPECT_TRUE(std::isnan(Tensor::empty({3}).values<float>()[1])); }

TEST(Tensor, EveryWriteCounts) {
  Tensor x = Tensor::zeros({2});
  const uint64_t version = x.storage()->version();
  x.data<float>();
  EXPECT_EQ(x.storage()->version(), version);
  x.fill(1);
  EXPECT_GT(x.storage()->version(), version);
}

TEST(Parameter, CopiesShareValueAndGradient) {
  Parameter a(Tensor::zeros({2}));
  const Parameter b = a;
  a.mutable_value().fill(3);
  EXPECT_EQ(b.value().values<float>()[0], 3);
  EXPECT_FALSE(Parameter().defined());
  EXPECT_FALSE(Parameter().has_gradient());
}

}  // namespace
}  // namespace tapestry::test
