#include "autograd/tape.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/unary.h"
#include "autograd/parameter.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Doubles = std::vector<double>;

Tensor vector_of(const Doubles& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

TEST(Tape, ReversesALongChainWithoutRecursion) {
  Tape tape;
  const Tensor x = tape.watch(Tensor::full({}, 2, DType::float64));
  Tensor y = x;
  for (int i = 0; i < 200'000; ++i) y = scale(y, i % 2 ? 4 : 0.25);
  tape.backward(y, 3);
  EXPECT_EQ(tape.gradient(x).item(), 3);
}

TEST(Tape, CatchesASavedTensorChangedInPlace) {
  Parameter w(vector_of({1, 2}));
  Tape tape;
  const Tensor y = gelu(w);
  w.mutable_value().mutable_data<double>()[0] = 5;
  EXPECT_THROW(tape.backward(y, vector_of({1, 1})), Error);
}

int64_t in_use_at_mark = 0;

/// The identity; notes the memory in use when backward gets here.
Tensor mark_memory(const Tensor& x) {
  Tensor y = x.detach();
  record("mark", {x}, y, {}, [](BackwardStep& step) {
    in_use_at_mark = pool_stats(Device::cpu()).in_use;
    step.add(0, step.gradient());
  });
  return y;
}

TEST(Tape, FreesWhatItSavedWhileWalking) {
  constexpr int64_t n = 1 << 17, bytes = n * 8, steps = 20;
  const int64_t before = pool_stats(Device::cpu()).in_use;
  Tape tape;
  Tensor x = tape.watch(Tensor::full({n}, 0.5, DType::float64));
  Tensor y = mark_memory(x);
  for (int i = 0; i < steps; ++i) y = silu(y);
  EXPECT_GE(tape.saved_bytes(), steps * bytes);
  EXPECT_GE(pool_stats(Device::cpu()).in_use - before, steps * bytes);
  tape.backward(y, Tensor::full({n}, 1, DType::float64));
  EXPECT_LE(in_use_at_mark - before, 5 * bytes);
  EXPECT_EQ(tape.saved_bytes(), 0);
}

TEST(Tape, TensorsOfAnOuterTapeAreConstantsOnAnInnerOne) {
  Tape outer;
  const Tensor x = outer.watch(vector_of({1, -2}));
  const Tensor y = silu(x);
  {
    Tape inner;
    EXPECT_FALSE(Tape::needs_gradient(y));
    const Tensor w = inner.watch(vector_of({3, 4}));
    const Tensor z = mul(w, y);
    inner.backward(z, vector_of({1, 1}));
    EXPECT_EQ(inner.gradient(w).values<double>(), y.values<double>());
    EXPECT_THROW(inner.gradient(x), Error);
    EXPECT_THROW(outer.backward(z, vector_of({1, 1})), Error);
  }
  EXPECT_TRUE(Tape::needs_gradient(y));
  outer.backward(y, vector_of({1, 1}));
  EXPECT_NEAR(outer.gradient(x).values<double>()[0], Silu::derivative(1.0), 1e-15);
}

TEST(Tape, RecordsNothingWithoutNeed) {
  const Parameter w(vector_of({1, 2}));
  EXPECT_EQ(Tape::current(), nullptr);
  EXPECT_FALSE(Tape::needs_gradient(w));
  Tape tape;
  silu(vector_of({1, 2}));
  silu(w.value().detach());
  {
    Tape::Pause pause;
    silu(w);
    const uint64_t first = tape.next_random_key();
    EXPECT_NE(tape.next_random_key(), first);
  }
  EXPECT_TRUE(tape.report().empty());
  EXPECT_EQ(tape.next_stream(), 2u);
  silu(w);
  EXPECT_EQ(tape.report().size(), 1u);
}

void backward_of_triple(const Parameter& w) {
  Tape tape;
  tape.backward(scale(w, 3), vector_of({1, 10}));
}

TEST(Tape, ParameterGradientsAddUpUntilCleared) {
  const Parameter w(vector_of({1, 2}));
  EXPECT_FALSE(w.has_gradient());
  backward_of_triple(w);
  backward_of_triple(w);
  EXPECT_EQ(w.gradient().values<double>(), (Doubles{6, 60}));
  w.gradient().fill(NAN);
  w.clear_gradient();
  EXPECT_FALSE(w.has_gradient());
  backward_of_triple(w);
  EXPECT_EQ(w.gradient().values<double>(), (Doubles{3, 30}));
}

TEST(Tape, AnInputUsedTwiceGetsBothGradients) {
  Tape tape;
  const Tensor x = tape.watch(vector_of({1, 2})), dy = vector_of({1, 10});
  tape.backward(add(x, x), dy);
  EXPECT_EQ(tape.gradient(x).values<double>(), (Doubles{2, 20}));
  EXPECT_EQ(dy.values<double>(), (Doubles{1, 10}));
}

TEST(Tape, AGradientHandedToTwoInputsIsCopiedBeforeItIsAddedTo) {
  Tape tape;
  const Tensor a = tape.watch(vector_of({1, 2})), b = tape.watch(vector_of({3, 4})), dy = vector_of({1, 10});
  const Tensor early = scale(a, 3);                // written into a's gradient
  const Tensor other = add(b, vector_of({7, 7}));  // handed to b's gradient
  tape.backward(add(add(early, other), add(a, b)), dy);
  EXPECT_EQ(tape.gradient(a).values<double>(), (Doubles{4, 40}));
  EXPECT_EQ(tape.gradient(b).values<double>(), (Doubles{2, 20}));
  EXPECT_EQ(dy.values<double>(), (Doubles{1, 10}));
}

TEST(Tape, ParametersNeverShareAGradient) {
  const Parameter a(vector_of({1, 2})), b(vector_of({3, 4}));
  const Tensor dy = vector_of({1, 10});
  Tape tape;
  tape.backward(add(a, b), dy);
  a.gradient().fill(0);
  EXPECT_EQ(b.gradient().values<double>(), (Doubles{1, 10}));
  EXPECT_EQ(dy.values<double>(), (Doubles{1, 10}));
}

TEST(Tape, ReshapeCarriesTheGradient) {
  Tape tape;
  const Tensor x = tape.watch(Tensor::from<double>({1, 2, 3, 4}, {2, 2}));
  const Tensor y = add(scale(x.reshape({4}), 2), x.reshape({4}));
  tape.backward(y.reshape({1, 4}), Tensor::from<double>({1, 10, 100, 1000}, {4}));
  EXPECT_EQ(tape.gradient(x).shape(), (Shape{2, 2}));
  EXPECT_EQ(tape.gradient(x).values<double>(), (Doubles{3, 30, 300, 3000}));
}

TEST(Tape, ReportCountsEachStorageOnce) {
  const Parameter w(random_tensor({4, 4}, 1));
  Tape tape;
  const Tensor x = tape.watch(random_tensor({3, 4}, 2));
  const Tensor y = linear(x, w), z = linear(x, w);
  silu(y);
  mul(y, z);
  const std::vector<TapeEntry> report = tape.report();
  const auto entry = [&](const std::string& op) {
    for (const TapeEntry& line : report) {
      if (line.op == op) return line;
    }
    return TapeEntry{};
  };
  EXPECT_EQ(entry("linear").count, 2);
  EXPECT_EQ(entry("linear").saved_bytes, 12 * 8);  // x once, the parameter not at all
  EXPECT_EQ(entry("silu").saved_bytes, 12 * 8);
  EXPECT_EQ(entry("mul").saved_bytes, 12 * 8);  // y is silu's already
  EXPECT_EQ(tape.saved_bytes(), 3 * 12 * 8);
}

TEST(Tape, RefusesWhatItCannotStartFrom) {
  Tape tape;
  const Tensor x = tape.watch(vector_of({1, 2}));
  const Tensor y = silu(x);
  EXPECT_THROW(tape.backward(y), Error);
  EXPECT_THROW(tape.backward(y, vector_of({1})), Error);
  EXPECT_THROW(tape.backward(y, vector_of({1, 1}).to(DType::float32)), Error);
  EXPECT_THROW(tape.backward(y.detach(), vector_of({1, 1})), Error);
  EXPECT_THROW(tape.gradient(x), Error);
}

// A backward step that captures a tensor would hold memory that nobody counts: it does not compile.
const auto captures_numbers = [shape = Shape{2, 3}, factor = 1.5](BackwardStep&) {
  (void)shape, (void)factor;
};
const auto captures_tensor = [x = Tensor()](BackwardStep&) { (void)x; };
static_assert(std::is_trivially_copyable_v<decltype(captures_numbers)>);
static_assert(!std::is_trivially_copyable_v<decltype(captures_tensor)>);

}  // namespace
}  // namespace tapestry::test
