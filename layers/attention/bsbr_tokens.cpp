#include "layers/attention/bsbr_tokens.h"

#include <algorithm>

#include "autograd/ops/chunk_mean.h"
#include "autograd/ops/rotary.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/take_rows.h"

namespace tapestry {

BsbrTokens::BsbrTokens(Module& parent, const AttentionDims& dims, const BsbrOptions& options)
    : ProjectedAttention(parent, dims), options_(check_bsbr_options(options)) {
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
  const TokenScores local{positioned(q), positioned(k)},
      remote = retrieves_at_edge() ? TokenScores{at_edge(q), k} : TokenScores{};
  return out_(block_retrieval(local, remote, v, r, h, score_gain_, retrieval()));
}

Tensor BsbrTokens::at_edge(const Tensor& q) const { return rotary_at(q, n_head(), options_.edge()); }

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
          .hierarchical = options_.hierarchical(),
          .heads = options_.retrieving(n_head())};
}

AttentionState BsbrTokens::begin_state() const {
  AttentionState state = key_value_state(options_.visible());
  if (options_.retrieved() == 0) return state;
  state.add("remote_k", dims_.n_embd, keep_all);  // any token may be retrieved
  state.add("remote_v", dims_.n_embd, keep_all);
  state.add("block_keys", dims_.n_embd, keep_chunks(options_.block_size()));
  state.add("running_block_key", dims_.n_embd, keep_one);
  return state;
}

Tensor BsbrTokens::extend(const Tensor& x, States states) const {
  if (options_.retrieved() == 0) return extend_softmax(x, 0, options_.visible(), states);
  const Tensor q = q_(x), r = r_ ? (*r_)(x) : q;
  const auto core = [&](const std::vector<Tensor>& rows, AttentionState& state) {
    const Tensor &x = rows[0], &q = rows[1], &k = rows[2], &v = rows[3], &r = rows[4];
    const int64_t past = state.position();
    const TokenScores local{positioned(q, past), positioned(k, past)};
    const TokenScores remote = retrieves_at_edge() ? TokenScores{at_edge(q), k} : local;
    add_block_keys(x, k, state);
    StateRows &near_k = state["k"], &near_v = state["v"], &all_k = state["remote_k"],
              &all_v = state["remote_v"];
    near_k.append(local.k);
    near_v.append(v);
    all_k.append(remote.k);
    all_v.append(v);
    return continue_block_retrieval(local.q, {near_k.data(), near_v.data(), past, near_k.gap()},
                                    {remote.q, all_k.data()}, all_v.data(), r, state["block_keys"].data(),
                                    score_gain_, retrieval());
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
