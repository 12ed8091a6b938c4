#include <gtest/gtest.h>

#include "tests/layers/attention/sequences.h"
#include "tests/layers/attention/variants.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

using Rows = std::vector<double>;

class AttentionDecoding : public testing::TestWithParam<Variant> {
 protected:
  void make(DType dtype) {
    root_ = std::make_unique<Module>(ModuleContext{.dtype = dtype});
    layer_ = make_attention(GetParam(), *root_);
    dtype_ = dtype;
  }
  Tensor input(int64_t batch, int64_t tokens) const {
    // Rounded to float32, so that both precisions see the same numbers.
    return random_tensor({batch, tokens, GetParam().dims.n_embd}, 1, DType::float32).to(dtype_);
  }
  Tensor extend(const Tensor& x, AttentionState& state) const {
    AttentionState* const states[] = {&state};
    return layer_->extend(x, states);
  }
  /// Outputs for one sequence x [1, T, C], given in pieces that end at `ends` and at T.
  Rows in_pieces(const Tensor& x, std::vector<int64_t> ends) const {
    AttentionState state = layer_->begin_state();
    Rows outputs;
    ends.push_back(x.dim(1));
    for (int64_t begin = 0; const int64_t end : ends) {
      if (end == begin) continue;
      const Rows y = extend(part(x, begin, end), state).values<double>();
      outputs.insert(outputs.end(), y.begin(), y.end());
      begin = end;
    }
    EXPECT_EQ(state.position(), x.dim(1));
    return outputs;
  }
  double tolerance() const { return dtype_ == DType::float64 ? 1e-10 : 1e-5; }

  std::unique_ptr<Module> root_;
  std::unique_ptr<Attention> layer_;
  DType dtype_ = DType::float64;
};

std::vector<int64_t> up_to(int64_t begin, int64_t end) {
  std::vector<int64_t> all;
  for (int64_t i = begin; i < end; ++i) all.push_back(i);
  return all;
}

TEST_P(AttentionDecoding, TokenByTokenEqualsTheParallelForm) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    make(dtype);
    for (const int64_t tokens : lengths(GetParam().period)) {
      const Tensor x = input(1, tokens);
      EXPECT_LE(difference(in_pieces(x, up_to(1, tokens)), (*layer_)(x).values<double>()), tolerance())
          << tokens << " tokens in " << name_of(dtype);
    }
  }
}

TEST_P(AttentionDecoding, StepsFollowAPrefillOfAnyLength) {
  make(DType::float64);
  const int64_t tokens = 3 * GetParam().period + 2;
  const Tensor x = input(1, tokens);
  const Rows whole = (*layer_)(x).values<double>();
  for (int64_t prefill = 1; prefill <= tokens; ++prefill)
    EXPECT_LE(difference(in_pieces(x, up_to(prefill, tokens)), whole), tolerance()) << prefill;
}

// Long enough for several tiles of any kernel, and for rows that go.
TEST_P(AttentionDecoding, PiecesOfAnyLengthGiveTheWhole) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    make(dtype);
    const Tensor x = input(1, 1000);
    const Rows whole = (*layer_)(x).values<double>();
    for (const std::vector<int64_t>& ends :
         {std::vector<int64_t>{}, {1, 2, 300}, {64, 128, 256, 999}, {7, 77, 99, 100, 101, 349, 500}})
      EXPECT_LE(difference(in_pieces(x, ends), whole), tolerance()) << ends.size() << name_of(dtype);
  }
}

TEST_P(AttentionDecoding, SequencesOfUnequalLengthGoOnTogether) {
  make(DType::float64);
  const int64_t tokens = 2 * GetParam().period + 3, starts[] = {tokens - 4, 1, GetParam().period};
  const Tensor x = input(3, tokens + 4);
  std::vector<AttentionState> states;
  for (int64_t b = 0; b < 3; ++b) {
    states.push_back(layer_->begin_state());
    extend(Tensor::from(rows(x, b, 0, starts[b]), {1, starts[b], x.dim(2)}), states.back());
  }
  AttentionState* const together[] = {&states[0], &states[1], &states[2]};
  for (const int64_t count : {1, 3}) {
    std::vector<double> next;
    for (int64_t b = 0; b < 3; ++b) {
      const Rows more = rows(x, b, states[b].position(), states[b].position() + count);
      next.insert(next.end(), more.begin(), more.end());
    }
    const Tensor y = layer_->extend(Tensor::from(next, {3, count, x.dim(2)}), together);
    for (int64_t b = 0; b < 3; ++b) {
      const int64_t end = states[b].position();
      const Tensor alone = Tensor::from(rows(x, b, 0, end), {1, end, x.dim(2)});
      EXPECT_LE(difference(rows(y, b, 0, count), rows((*layer_)(alone), 0, end - count, end)), tolerance())
          << "sequence " << b;
    }
  }
}

TEST_P(AttentionDecoding, AStateGoesOnFromItsRowsAlone) {
  make(DType::float64);
  const Tensor x = input(1, 40);
  const Rows whole = (*layer_)(x).values<double>();
  for (int64_t split = 1; split < 40; ++split) {
    AttentionState before = layer_->begin_state(), after = layer_->begin_state();
    extend(prefix(x, split), before);
    for (size_t i = 0; i < before.parts().size(); ++i)
      after.parts()[i].unpack(before.parts()[i].packed(), split);
    after.set_position(split);
    EXPECT_EQ(after.used_bytes(), before.used_bytes());
    EXPECT_LE(difference(extend(part(x, split, 40), after).values<double>(),
                         Rows(whole.begin() + split * x.dim(2), whole.end())),
              tolerance())
        << split;
  }
}

TEST_P(AttentionDecoding, AClonedStateGoesItsOwnWay) {
  make(DType::float64);
  const Tensor x = input(1, 30);
  AttentionState state = layer_->begin_state();
  extend(prefix(x, 20), state);
  AttentionState clone = state.clone();
  const Rows first = extend(part(x, 20, 30), clone).values<double>();
  EXPECT_EQ(extend(part(x, 20, 30), state).values<double>(), first);
}

TEST_P(AttentionDecoding, MemoryStaysCloseToWhatIsKept) {
  make(DType::float32);
  AttentionState state = layer_->begin_state();
  const Tensor x = input(1, 1);
  for (int64_t t = 0; t < 300; ++t) {
    extend(x, state);
    ASSERT_LE(state.held_bytes(), 2 * state.used_bytes() + 4096) << t;
    ASSERT_GE(state.held_bytes(), state.used_bytes()) << t;
  }
}

TEST_P(AttentionDecoding, MemoryOfALongPieceIsGivenBack) {
  make(DType::float32);
  AttentionState state = layer_->begin_state();
  extend(input(1, 2000), state);
  int64_t spare = 0;
  for (const StateRows& part : state.parts()) spare += 256 * part.width() * 4;
  EXPECT_LE(state.held_bytes(), 2 * state.used_bytes() + spare);
}

INSTANTIATE_TEST_SUITE_P(Attention, AttentionDecoding, testing::ValuesIn(variants()),
                         [](const auto& info) { return info.param.id(); });

}  // namespace
}  // namespace tapestry::test
