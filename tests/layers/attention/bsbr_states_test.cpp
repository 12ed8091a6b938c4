#include "layers/attention/bsbr_states.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autograd/tape.h"
#include "layers/attention/standard.h"
#include "tests/layers/attention/bsbr_reference.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

constexpr int64_t kWidth = 16, kHeads = 2, kChunk = 8;
const AttentionDims kDims{.n_embd = kWidth, .n_head = kHeads, .init_std = 0.35, .out_init_std = 0.25};

/// read = state without scale and gate, so that what is retrieved is large.
BsbrOptions plain() {
  BsbrOptions options;
  options.read = "state";
  options.chunk = kChunk;
  options.preset = "literal";
  return options;
}

/// A layer on its own. Layers of the same seed agree in the parameters that they share.
template <class Layer>
struct Alone {
  Module root;
  Layer layer;
  template <class Options>
  explicit Alone(const Options& options, DType dtype = DType::float64)
      : root(ModuleContext{.dtype = dtype, .seed = 3}), layer(root, kDims, options) {}

  Parameter parameter(const std::string& name) const {
    for (const NamedParameter& named : layer.parameters()) {
      if (named.name == layer.path() + "." + name) return named.parameter;
    }
    return {};
  }
  void set(const std::string& name, const std::vector<double>& values) {
    Parameter found = parameter(name);
    found.mutable_value().copy_from(Tensor::from(values, found.shape()).to(found.value().dtype()));
  }
  void fill(const std::string& name, double value) { parameter(name).mutable_value().fill(value); }
  std::vector<double> operator()(const Tensor& x) const { return layer(x).template values<double>(); }
};
using Layer = Alone<BsbrStates>;

Tensor input(int64_t tokens = 29, uint64_t key = 5) { return random_tensor({2, tokens, kWidth}, key); }

std::vector<double> with(const BsbrOptions& options, const Tensor& x) { return Layer(options)(x); }
std::vector<double> standard(const Tensor& x) { return Alone<StandardAttention>(StandardOptions{})(x); }

/// The output at tokens [begin, end) of x [B, T, C].
std::vector<double> tokens_of(const std::vector<double>& y, int64_t tokens, int64_t begin, int64_t end) {
  std::vector<double> part;
  for (size_t i = 0; i < y.size(); ++i) {
    const int64_t t = static_cast<int64_t>(i) / kWidth % tokens;
    if (t >= begin && t < end) part.push_back(y[i]);
  }
  return part;
}

TEST(BsbrState, OneChunkIsSoftmaxAttention) {
  BsbrOptions options = plain();
  options.chunk = 29;
  EXPECT_LE(difference(with(options, input()), standard(input())), 1e-14);
}

TEST(BsbrState, TheFirstChunkIsSoftmaxAttention) {
  const std::vector<double> y = with(plain(), input()), softmax = standard(input());
  EXPECT_LE(difference(tokens_of(y, 29, 0, 8), tokens_of(softmax, 29, 0, 8)), 1e-14);
  EXPECT_GT(difference(tokens_of(y, 29, 8, 29), tokens_of(softmax, 29, 8, 29)), 1e-2);
}

TEST(BsbrState, AClosedGateAndAllInSightIsSoftmaxAttention) {
  BsbrOptions options = plain();
  options.gate = "head";
  options.overlap = "29";
  EXPECT_LE(difference(with(options, input()), standard(input())), 1e-14);
  options.overlap = "0";
  options.sink = 29;
  EXPECT_LE(difference(with(options, input()), standard(input())), 1e-14);
}

TEST(BsbrState, KeepingAsManyChunksAsThereAreIsKeepingAll) {
  BsbrOptions options = plain();
  const std::vector<double> all = with(options, input());
  options.topk = "3";
  EXPECT_EQ(with(options, input()), all);
  options.topk = "1";
  EXPECT_GT(difference(with(options, input()), all), 1e-2);
}

TEST(BsbrState, AMeanIsASumBehindAGate) {
  BsbrOptions options = plain();
  options.gate = "head";
  Layer sum(options);
  sum.fill("gate", 1.0 / kChunk);
  options.gate = "none";
  options.state_scale = "mean";
  EXPECT_LE(difference(sum(input()), with(options, input())), 1e-14);
}

TEST(BsbrState, NormalisingCancelsTheScaleOfStates) {
  BsbrOptions options = plain();
  options.feature_map = "elu1";
  options.normalise = true;
  options.eps = 0;
  const std::vector<double> sum = with(options, input());
  options.state_scale = "mean";
  EXPECT_LE(difference(with(options, input()), sum), 1e-13);
}

TEST(BsbrState, CompressionByAnInvertibleMapChangesNothing) {
  BsbrOptions options = plain();
  const std::vector<double> exact = with(options, input());
  const int64_t size = kWidth / kHeads * (kWidth / kHeads);
  options.compression = size;
  Layer compressed(options);
  // A reflection I - 2 w w^T is its own inverse.
  std::vector<double> w = random_tensor({size}, 6).values<double>(), reflection(size * size);
  const double length = std::sqrt(std::inner_product(w.begin(), w.end(), w.begin(), 0.0));
  for (int64_t i = 0; i < size * size; ++i) {
    reflection[i] = (i / size == i % size) - 2 * w[i / size] * w[i % size] / (length * length);
  }
  compressed.set("compress", reflection);
  compressed.set("decompress", reflection);
  EXPECT_LE(difference(compressed(input()), exact), 1e-12);
}

TEST(BsbrState, ExchangingFinishedChunksChangesNoLaterChunk) {
  const Tensor x = input();
  std::vector<double> swapped = x.values<double>();
  for (int64_t b = 0; b < 2; ++b) {
    const auto first = swapped.begin() + b * 29 * kWidth, second = first + kChunk * kWidth;
    std::swap_ranges(first, second, second);
  }
  const std::vector<double> y = with(plain(), x), z = with(plain(), Tensor::from(swapped, x.shape()));
  EXPECT_LE(difference(tokens_of(z, 29, 16, 29), tokens_of(y, 29, 16, 29)), 1e-13);
  EXPECT_GT(difference(tokens_of(z, 29, 0, 16), tokens_of(y, 29, 0, 16)), 1e-2);
}

TEST(BsbrState, IndifferentRetrievalIsLinearAttentionOverFinishedChunks) {
  BsbrOptions options = plain();
  options.feature_map = "elu1";
  options.normalise = true;
  options.eps = 0;
  options.gate = "head";
  Layer open(options), closed(options);
  open.fill("gate", 1);
  open.fill("r.weight", 0);
  const Tensor x = input();
  const std::vector<double> y = open(x), local = closed(x);
  // Token 20 of the first sequence reads the tokens of chunks 0 and 1 alike, without any score of chunks.
  const auto projected = [&](const char* name, int64_t t, int64_t i) {
    const std::vector<double> w = open.parameter(name).value().values<double>(), rows = x.values<double>();
    double sum = 0;
    for (int64_t j = 0; j < kWidth; ++j) sum += rows[t * kWidth + j] * w[j * kWidth + i];
    return sum;
  };
  const auto elu1 = [](double z) { return z > 0 ? z + 1 : std::exp(z); };
  const int64_t d = kWidth / kHeads;
  std::vector<double> read(kWidth, 0.0), den(kHeads, 0.0);
  for (int64_t i = 0; i < 16; ++i) {
    for (int64_t head = 0; head < kHeads; ++head) {
      double weight = 0;
      for (int64_t j = head * d; j < (head + 1) * d; ++j) {
        weight += elu1(projected("q.weight", 20, j)) * elu1(projected("k.weight", i, j));
      }
      den[head] += weight;
      for (int64_t j = head * d; j < (head + 1) * d; ++j) read[j] += weight * projected("v.weight", i, j);
    }
  }
  const std::vector<double> out = open.parameter("out.weight").value().values<double>();
  for (int64_t i = 0; i < kWidth; ++i) {
    double expected = local[20 * kWidth + i];
    for (int64_t j = 0; j < kWidth; ++j) expected += read[j] / den[j / d] * out[j * kWidth + i];
    EXPECT_NEAR(y[20 * kWidth + i], expected, 1e-13) << i;
  }
}

TEST(BsbrState, StartsLocalAndOpensByItsGate) {
  BsbrOptions options;
  options.read = "state";
  options.chunk = kChunk;
  const Layer layer(options);
  options.topk = "0";
  EXPECT_EQ(layer(input()), with(options, input()));
  Tape tape;
  const Tensor y = layer.layer(input());
  tape.backward(y, random_tensor(y.shape(), 8));
  const std::vector<double> gradient = layer.parameter("gate").gradient().values<double>();
  EXPECT_GT(std::abs(gradient[0]), 1e-3);
  EXPECT_GT(std::abs(gradient[1]), 1e-3);
}

TEST(BsbrState, WithoutRetrievalThereAreNoParametersOfIt) {
  BsbrOptions options = plain();
  options.topk = "0";
  EXPECT_EQ(Layer(options).layer.parameter_count(), 4 * kWidth * kWidth);
}

/// The layer against its dense twin, with all parameters at random.
OpCase twin_case(const std::string& name, const BsbrOptions& options, int64_t tokens) {
  const auto build = [options](DType dtype) {
    auto layer = std::make_unique<Layer>(options, dtype);
    if (layer->parameter("gate").defined()) layer->set("gate", {0.7, -1.2});
    return layer;
  };
  OpCase result;
  result.name = name;
  result.inputs = {{{2, tokens, kWidth}}};
  result.op = [build](const std::vector<Tensor>& in) { return build(in[0].dtype())->layer(in[0]); };
  result.reference = [build, options](const std::vector<Values>& in) {
    DenseBsbr dense{options, kHeads, kWidth, {}};
    const auto layer = build(DType::float64);
    for (const NamedParameter& named : layer->layer.parameters()) {
      dense.values[named.name.substr(layer->layer.path().size() + 1)] =
          named.parameter.value().values<double>();
    }
    return dense(in[0].data, in[0].shape[0], in[0].shape[1]);
  };
  return result;
}

std::vector<OpCase> twins() {
  BsbrOptions usual = plain();
  usual.preset = "none";
  BsbrOptions softmax = usual, norm = usual, both = usual, normalised = usual, weighted = usual;
  softmax.feature_map = "softmax";
  norm.read_norm = "rms";
  both.feature_map = "softmax";
  both.read_norm = "rms";
  both.topk = "2";
  both.overlap = "3";
  both.sink = 2;
  both.chunk = 4;
  normalised.feature_map = "elu1";
  normalised.normalise = true;
  weighted.feature_map = "softmax";
  weighted.normalise = true;
  return {twin_case("usual", usual, 29),
          twin_case("literal", plain(), 17),
          twin_case("softmax_map", softmax, 29),
          twin_case("read_norm", norm, 29),
          twin_case("everything", both, 30),
          twin_case("normalised", normalised, 25),
          twin_case("softmax_normalised", weighted, 25),
          twin_case("short", norm, 5)};
}

OP_TEST(BsbrStateTwin, twins());

}  // namespace
}  // namespace tapestry::test
