#include "layers/attention/bsbr_tokens.h"

#include <algorithm>

#include "autograd/ops/chunk_mean.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/take_rows.h"

namespace tapestry {

BsbrTokens::BsbrTokens(Module& parent, const AttentionDims& dims, const BsbrOptions& options)
    : ProjectedAttention(parent, dims), options_(check_bsbr_options(options)) {
  turned_heads_ = options_.turned(n_head());
  // Whatever topk is: a model may be trained with one and read with another.
  if (!options_.shares_keys()) {
    r_.emplace(*this, "r", dims.n_embd, dims.n_embd, LinearOptions{false, dims.init_std});
    h_.emplace(*this, "h", dims.n_embd, dims.n_embd, LinearOptions{false, dims.init_std});
  }
  if (options_.score_bias == "head") score_gain_ = add_parameter("score_gain", {n_head()}, Init::ones());
}

Tensor BsbrTokens::operator()(const Tensor& x) const {
  const Tensor q = q_(x), k = k_(x), v = v_(x);
  if (options_.retrieved() == 0 || x.dim(1) <= options_.chunk)
    return out_(softmax(q, k, v, 0, options_.visible()));
  const Tensor r = r_ ? (*r_)(x) : q, h = block_keys(x, k);
  return out_(block_retrieval(positioned(q), positioned(k), v, r, h, score_gain_, retrieval()));
}

// The mean of the projections is the projection of the mean.
Tensor BsbrTokens::block_keys(const Tensor& x, const Tensor& k) const {
  return h_ ? (*h_)(chunk_mean(x, options_.block_size())) : chunk_mean(k, options_.block_size());
}

BlockRetrieval BsbrTokens::retrieval() const {
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

AttentionState BsbrTokens::begin_state() const {
  if (options_.retrieved() == 0) return key_value_state(options_.visible());
  AttentionState state = key_value_state({});  // any token may be retrieved
  state.add("block_keys", dims_.n_embd, keep_chunks(options_.block_size()));
  state.add("running_block_key", dims_.n_embd, keep_one);
  return state;
}

Tensor BsbrTokens::extend(const Tensor& x, States states) const {
  if (options_.retrieved() == 0) return extend_softmax(x, 0, options_.visible(), states);
  const Tensor q = q_(x), r = r_ ? (*r_)(x) : q;
  const auto core = [&](const std::vector<Tensor>& rows, AttentionState& state) {
    const int64_t past = state.position();
    add_block_keys(rows[0], rows[2], state);
    StateRows &k = state["k"], &v = state["v"];
    k.append(positioned(rows[2], past));
    v.append(rows[3]);
    return continue_block_retrieval(positioned(rows[1], past), k.data(), v.data(), rows[4],
                                    state["block_keys"].data(), score_gain_, retrieval(), past);
  };
  return out_(extend_sequences({x, q, k_(x), v_(x), r}, states, all_at_once, core));
}

void BsbrTokens::add_block_keys(const Tensor& x, const Tensor& k, AttentionState& state) const {
  const Tensor& of = h_ ? x : k;
  const int64_t tokens = of.dim(1), size = options_.block_size();
  Tensor mean = state["running_block_key"].data().reshape({1, 1, of.dim(2)});
  for (int64_t t = 0, count; t < tokens; t += count) {
    const int64_t past = (state.position() + t) % size;
    count = std::min(tokens - t, size - past);
    const Tensor ones = Tensor::full({1, count, 1}, 1, of.dtype(), of.device());
    add_to_state(ones, take_rows(of, t, 1, count), 1.0 / static_cast<double>(size), mean);
    if (past + count < size) continue;
    state["block_keys"].append(h_ ? (*h_)(mean) : mean);
    mean.fill(0);
  }
}

}  // namespace tapestry
