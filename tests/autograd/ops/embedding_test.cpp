#include "autograd/ops/embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

OpCase embedding_case(std::string name, Shape tokens, int64_t vocab, int64_t c) {
  OpCase result;
  result.name = std::move(name);
  Input ids{tokens, Input::Kind::tokens, vocab};
  ids.differentiate = false;
  result.inputs = {ids, {{vocab, c}}};
  result.op = [](const std::vector<Tensor>& in) { return embedding(in[0], in[1]); };
  result.reference = [c](const std::vector<Values>& in) {
    std::vector<double> y;
    for (double token : in[0].data) {
      for (int64_t i = 0; i < c; ++i) y.push_back(in[1][static_cast<int64_t>(token) * c + i]);
    }
    return y;
  };
  return result;
}

std::vector<OpCase> cases() {
  return {embedding_case("embedding", {2, 9}, 5, 7), embedding_case("embedding_repeats", {63}, 2, 33),
          embedding_case("embedding_wide", {101}, 300, 261),
          embedding_case("embedding_frequent", {2, 700}, 3, 39),
          embedding_case("embedding_one", {1, 1}, 1, 1)};
}

OP_TEST(EmbeddingOp, cases());

TEST(EmbeddingOp, NamesTheTokenOutsideTheVocabulary) {
  const Tensor weight = Tensor::zeros({5, 3});
  const auto message = [&](std::vector<int32_t> tokens) -> std::string {
    try {
      embedding(Tensor::from(tokens, {static_cast<int64_t>(tokens.size())}), weight);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::input);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({0, 4, 5}), testing::HasSubstr("token 5 at position 2"));
  EXPECT_THAT(message({0, -1, 9}), testing::HasSubstr("token -1 at position 1"));
  EXPECT_EQ(message({0, 4}), "");
}

}  // namespace
}  // namespace tapestry::test
