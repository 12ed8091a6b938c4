#include "layers/attention/bsbr_states.h"

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/chunk_states.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/divide_heads.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/read_states.h"
#include "autograd/ops/rms_norm.h"
#include "autograd/ops/scale_heads.h"
#include "autograd/ops/softmax.h"
#include "autograd/ops/take_rows.h"
#include "autograd/ops/unary.h"

namespace tapestry {
namespace {

constexpr double kReadNormStart = 0.1, kReadNormEps = 1e-6;  // ATTENTION section 7.7

}  // namespace

BsbrStates::BsbrStates(Module& parent, const AttentionDims& dims, const BsbrOptions& options)
    : ProjectedAttention(parent, dims), options_(check_bsbr_options(options)) {
  if (options_.retrieved() == 0) return;
  r_.emplace(*this, "r", dims.n_embd, dims.n_embd, LinearOptions{dims.bias, dims.init_std});
  h_.emplace(*this, "h", dims.n_embd, dims.n_embd, LinearOptions{dims.bias, dims.init_std});
  const int64_t size = head_width() * head_width(), compressed = options_.compression;
  if (compressed > 0) {
    // Each map keeps the variance of what goes through it.
    compress_ = add_parameter("compress", {size, compressed}, Init::normal(1 / std::sqrt(double(size))));
    decompress_ =
        add_parameter("decompress", {compressed, size}, Init::normal(1 / std::sqrt(double(compressed))));
  }
  if (options_.read_norm == "rms") {
    read_gain_ = add_parameter("read_gain", {n_head(), head_width()}, Init::constant(kReadNormStart));
  }
  if (options_.gated()) gate_ = add_parameter("gate", {n_head()}, Init::zeros());
}

Tensor BsbrStates::operator()(const Tensor& x) const {
  const int64_t count = retrieves() ? finished_chunks(x.dim(1), options_.chunk) : 0;
  // Before the other projections, so that backward adds to their gradient of x in the rows taken only.
  const ChunkKeys keys = count > 0 ? chunk_keys(x, count) : ChunkKeys{};
  const Tensor q = q_(x), k = k_(x), v = v_(x), local = softmax(q, k, v, 0, options_.visible());
  return out_(count > 0 ? add(local, read(q, k, v, keys)) : local);
}

BsbrStates::ChunkKeys BsbrStates::chunk_keys(const Tensor& x, int64_t finished) const {
  const int64_t c = options_.chunk;
  return {(*r_)(take_rows(x, c, c, finished)), (*h_)(take_rows(x, c - 1, c, finished))};
}

Tensor BsbrStates::read(const Tensor& q, const Tensor& k, const Tensor& v, const ChunkKeys& keys) const {
  const int64_t c = options_.chunk;
  const Tensor fq = features(q), fk = features(k);
  const Tensor states = retrieve_compressed(keys, chunk_states(fk, v, n_head(), c, state_factor()));
  const Tensor g = read_states(fq, states, c, read_scale());
  return finish_read(g, options_.normalise ? denominators(fq, fk, keys) : Tensor());
}

double BsbrStates::read_scale() const {
  // A norm or a quotient takes the place of the scale, which it would cancel.
  return options_.normalise || options_.read_norm != "none" ? 1 : scale_or_default(0);
}

Tensor BsbrStates::finish_read(Tensor g, const Tensor& denominators) const {
  if (denominators.defined()) g = divide_heads(g, denominators, options_.eps);
  if (read_gain_.defined()) g = rms_norm(g, read_gain_, kReadNormEps);
  return gate_.defined() ? scale_heads(g, gate_) : g;
}

Tensor BsbrStates::features(const Tensor& x) const {
  if (options_.feature_map == "elu1") return elu1(x);
  if (options_.feature_map == "identity") return x;
  return tapestry::softmax(x.reshape({x.dim(0), x.dim(1), n_head(), head_width()})).reshape(x.shape());
}

Tensor BsbrStates::retrieve(const ChunkKeys& keys, const Tensor& states) const {
  return retrieve_states(keys.r, keys.h, states, scale_or_default(0), options_.retrieved());
}

Tensor BsbrStates::retrieve_compressed(const ChunkKeys& keys, const Tensor& states) const {
  if (!compress_.defined()) return retrieve(keys, states);
  const Shape& s = states.shape();
  const Tensor flat = states.reshape({s[0], s[1], s[2], s[3] * s[4]});
  return linear(retrieve(keys, linear(flat, compress_)), decompress_).reshape(s);
}

Tensor BsbrStates::denominators(const Tensor& fq, const Tensor& fk, const ChunkKeys& keys) const {
  const Tensor sums = chunk_states(fk, ones(fk), n_head(), options_.chunk, state_factor());
  return read_states(fq, retrieve(keys, sums), options_.chunk);
}

Tensor BsbrStates::ones(const Tensor& x) const {
  return Tensor::full({x.dim(0), x.dim(1), n_head()}, 1, x.dtype(), x.device());
}

}  // namespace tapestry
