#include <gtest/gtest.h>

#include "layers/attention/bsbr.h"
#include "tests/layers/attention/bsbr_reference.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

constexpr int64_t kWidth = 16, kHeads = 2, kTokens = 45;
const AttentionDims kDims{.n_embd = kWidth, .n_head = kHeads, .init_std = 0.35, .out_init_std = 0.25};

BsbrOptions both() {
  BsbrOptions options;
  options.read = "both";
  options.chunk = 8;
  return options;
}

/// A layer on its own. Layers of the same seed agree in the parameters that they share.
struct Layer {
  BsbrOptions options;
  Module root{ModuleContext{.dtype = DType::float64, .seed = 3}};
  Bsbr layer;
  explicit Layer(const BsbrOptions& options) : options(options), layer(root, kDims, options) {}

  void open_gate() {
    for (const NamedParameter& named : layer.parameters()) {
      Parameter parameter = named.parameter;
      if (named.name.ends_with("gate")) parameter.mutable_value().fill(0.7);
    }
  }
  std::vector<double> operator()(const Tensor& x) const { return layer(x).values<double>(); }
  std::vector<double> dense(const Tensor& x) const {
    DenseBsbr reference{options, kHeads, kWidth, {}};
    for (const NamedParameter& named : layer.parameters())
      reference.values[named.name.substr(layer.path().size() + 1)] = named.parameter.value().values<double>();
    return reference(x.values<double>(), x.dim(0), x.dim(1));
  }
};

Tensor input() { return random_tensor({2, kTokens, kWidth}, 5); }

TEST(BsbrBoth, EqualsTheDenseForm) {
  std::vector<BsbrOptions> all(8, both());
  all[1].topk = "all";
  all[2].topk = "0";
  all[3].keys = "own";
  all[4].score_bias = "off";
  all[4].state_scale = "none";
  all[5].overlap = "3";
  all[5].sink = 2;
  all[5].read_norm = "rms";
  all[6].feature_map = "elu1";
  all[6].normalise = true;
  all[7].feature_map = "softmax";
  all[7].chunk = 1;
  for (size_t i = 0; i < all.size(); ++i) {
    Layer layer(all[i]);
    const std::vector<double> closed = layer(input());
    layer.open_gate();
    const std::vector<double> open = layer(input());
    EXPECT_LE(difference(open, layer.dense(input())), 1e-13) << "options " << i;
    EXPECT_GT(difference(open, closed), 1e-4) << "options " << i;
  }
}

TEST(BsbrBoth, AClosedGateIsTheFormThatReadsTokens) {
  BsbrOptions tokens = both();
  tokens.read = "tokens";
  EXPECT_EQ(Layer(both())(input()), Layer(tokens)(input()));
}

TEST(BsbrBoth, StatesAreThoseOfAllChunksWhateverTopkIs) {
  // What is added to the form that reads tokens does not depend on topk.
  std::vector<std::vector<double>> added;
  for (const char* topk : {"1", "3"}) {
    BsbrOptions options = both(), tokens = both();
    options.topk = tokens.topk = topk;
    tokens.read = "tokens";
    Layer layer(options);
    layer.open_gate();
    std::vector<double> more = layer(input());
    const std::vector<double> without = Layer(tokens)(input());
    for (size_t i = 0; i < more.size(); ++i) more[i] -= without[i];
    added.push_back(more);
  }
  EXPECT_LE(difference(added[0], added[1]), 1e-13);
}

}  // namespace
}  // namespace tapestry::test
