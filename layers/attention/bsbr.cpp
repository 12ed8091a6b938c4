#include "layers/attention/bsbr.h"

#include <cmath>

#include "autograd/ops/binary.h"
#include "autograd/ops/chunk_mean.h"
#include "autograd/ops/chunk_states.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/divide_heads.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/read_states.h"
#include "autograd/ops/retrieve_states.h"
#include "autograd/ops/rms_norm.h"
#include "autograd/ops/scale_heads.h"
#include "autograd/ops/softmax.h"
#include "autograd/ops/take_rows.h"
#include "autograd/ops/unary.h"
#include "layers/attention/factory.h"

namespace tapestry {
namespace {

constexpr double kReadNormStart = 0.1, kReadNormEps = 1e-6;  // ATTENTION section 7.7

const BsbrOptions& checked(const BsbrOptions& options) {
  check_bsbr_options(options);
  return options;
}

}  // namespace

Bsbr::Bsbr(Module& parent, const AttentionDims& dims, const BsbrOptions& options)
    : ProjectedAttention(parent, dims), options_(checked(options)) {
  if (options_.reads_tokens()) {
    // Whatever topk is: a model may be trained with one and read with another.
    if (!options_.shares_keys()) add_retrieval_keys(false);
    if (options_.score_bias == "head") score_gain_ = add_parameter("score_gain", {n_head()}, Init::ones());
    if (options_.reads_states()) add_state_reading();
  } else if (options_.retrieved() > 0) {
    add_retrieval_keys(dims_.bias);
    add_state_reading();
  }
}

void Bsbr::add_retrieval_keys(bool bias) {
  r_.emplace(*this, "r", dims_.n_embd, dims_.n_embd, LinearOptions{bias, dims_.init_std});
  h_.emplace(*this, "h", dims_.n_embd, dims_.n_embd, LinearOptions{bias, dims_.init_std});
}

void Bsbr::add_state_reading() {
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

Tensor Bsbr::operator()(const Tensor& x) const {
  return out_(options_.reads_tokens() ? local_and_tokens(x) : local_and_states(x));
}

Tensor Bsbr::local(const Tensor& q, const Tensor& k, const Tensor& v) const {
  return softmax_attention(positioned(q), positioned(k), v, n_head(), scale_or_default(0),
                           options_.visible());
}

int64_t Bsbr::finished(const Tensor& x) const {
  return options_.retrieves() ? finished_chunks(x.dim(1), options_.chunk) : 0;
}

Tensor Bsbr::local_and_tokens(const Tensor& x) const {
  const int64_t count = finished(x), c = options_.chunk;
  const Tensor q = q_(x), k = k_(x), v = v_(x);
  if (count == 0) return local(q, k, v);
  const Tensor r = r_ ? (*r_)(x) : q;
  const auto with_blocks = [&] {
    const Tensor h = mean_keys(x, k, options_.block_size());
    return block_retrieval(positioned(q), positioned(k), v, r, h, score_gain_, retrieval());
  };
  const Tensor y = options_.retrieved() > 0 ? with_blocks() : local(q, k, v);
  if (!options_.reads_states()) return y;
  return add(y, read(q, k, v, {take_rows(r, c, c, count), mean_keys(x, k, c)}));
}

// The mean of the projections is the projection of the mean.
Tensor Bsbr::mean_keys(const Tensor& x, const Tensor& k, int64_t size) const {
  return h_ ? (*h_)(chunk_mean(x, size)) : chunk_mean(k, size);
}

BlockRetrieval Bsbr::retrieval() const {
  return {.n_head = n_head(),
          .scale = scale_or_default(0),
          .chunk = options_.chunk,
          .block = options_.block_size(),
          .topk = options_.retrieved(),
          .overlap = options_.reach(),
          .sink = options_.sink,
          .score_bias = options_.score_bias != "off",
          .heads = options_.retrieving(n_head())};
}

Tensor Bsbr::local_and_states(const Tensor& x) const {
  const int64_t count = finished(x);
  // Before the other projections, so that backward adds to their gradient of x in the rows taken only.
  const ChunkKeys keys = count > 0 ? chunk_keys(x, count) : ChunkKeys{};
  const Tensor q = q_(x), k = k_(x), v = v_(x);
  return count > 0 ? add(local(q, k, v), read(q, k, v, keys)) : local(q, k, v);
}

Bsbr::ChunkKeys Bsbr::chunk_keys(const Tensor& x, int64_t finished) const {
  const int64_t c = options_.chunk;
  return {(*r_)(take_rows(x, c, c, finished)), (*h_)(take_rows(x, c - 1, c, finished))};
}

Tensor Bsbr::read(const Tensor& q, const Tensor& k, const Tensor& v, const ChunkKeys& keys) const {
  const int64_t c = options_.chunk;
  const Tensor fq = features(q), fk = features(k);
  const Tensor states = retrieve_compressed(keys, chunk_states(fk, v, n_head(), c, state_factor()));
  const Tensor g = read_states(fq, states, c, read_scale());
  return finish_read(g, options_.normalise ? denominators(fq, fk, keys) : Tensor());
}

double Bsbr::read_scale() const {
  // A norm or a quotient takes the place of the scale, which it would cancel.
  return options_.normalise || options_.read_norm != "none" ? 1 : scale_or_default(0);
}

Tensor Bsbr::finish_read(Tensor g, const Tensor& denominators) const {
  if (denominators.defined()) g = divide_heads(g, denominators, options_.eps);
  if (read_gain_.defined()) g = rms_norm(g, read_gain_, kReadNormEps);
  return gate_.defined() ? scale_heads(g, gate_) : g;
}

Tensor Bsbr::features(const Tensor& x) const {
  if (options_.feature_map == "elu1") return elu1(x);
  if (options_.feature_map == "identity") return x;
  return tapestry::softmax(x.reshape({x.dim(0), x.dim(1), n_head(), head_width()})).reshape(x.shape());
}

Tensor Bsbr::retrieve(const ChunkKeys& keys, const Tensor& states) const {
  return retrieve_states(keys.r, keys.h, states, scale_or_default(0), mixed_chunks());
}

Tensor Bsbr::retrieve_compressed(const ChunkKeys& keys, const Tensor& states) const {
  if (!compress_.defined()) return retrieve(keys, states);
  const Shape& s = states.shape();
  const Tensor flat = states.reshape({s[0], s[1], s[2], s[3] * s[4]});
  return linear(retrieve(keys, linear(flat, compress_)), decompress_).reshape(s);
}

Tensor Bsbr::denominators(const Tensor& fq, const Tensor& fk, const ChunkKeys& keys) const {
  const Tensor sums = chunk_states(fk, ones(fk), n_head(), options_.chunk, state_factor());
  return read_states(fq, retrieve(keys, sums), options_.chunk);
}

Tensor Bsbr::ones(const Tensor& x) const {
  return Tensor::full({x.dim(0), x.dim(1), n_head()}, 1, x.dtype(), x.device());
}

AttentionKind bsbr_kind() { return kind_from<Bsbr>(bsbr_options()); }

}  // namespace tapestry
