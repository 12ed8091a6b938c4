#include <algorithm>

#include "autograd/ops/binary.h"
#include "autograd/ops/copy_rows.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/retrieve_states.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/take_rows.h"
#include "layers/attention/bsbr.h"

/// BSBR for sequences that go on: ATTENTION section 7.3, and for tokens the decoding of 7.6.
namespace tapestry {

AttentionState Bsbr::begin_state() const {
  const bool every_key = options_.reads_tokens() && options_.retrieved() > 0;
  AttentionState state = key_value_state(every_key ? Visible{} : visible());
  if (!options_.retrieves()) return state;
  state.add("h", dims_.n_embd, keep_chunks(options_.chunk));
  if (options_.reads_tokens()) state.add("running_mean", dims_.n_embd, keep_one);
  if (options_.reads_states()) add_state_parts(state);
  return state;
}

void Bsbr::add_state_parts(AttentionState& state) const {
  const int64_t size = dims_.n_embd * head_width();
  const int64_t kept = options_.compression > 0 ? n_head() * options_.compression : size;
  state.add("states", kept, keep_chunks(options_.chunk));  // of finished chunks
  state.add("running_state", size, keep_one);              // of the unfinished one
  state.add("mixed_state", size, keep_one);                // what the unfinished one reads
  if (!options_.normalise) return;
  state.add("sums", dims_.n_embd, keep_chunks(options_.chunk));
  state.add("running_sum", dims_.n_embd, keep_one);
  state.add("mixed_sum", dims_.n_embd, keep_one);
}

Tensor Bsbr::extend(const Tensor& x, States states) const {
  const bool tokens = options_.reads_tokens();
  const Tensor q = q_(x), r = r_ && tokens ? (*r_)(x) : q;
  const auto core = [&](const std::vector<Tensor>& in, AttentionState& state) {
    const Rows rows{in[0], in[1], in[2], in[3], in[4]};
    return tokens ? extend_with_tokens(rows, state) : extend_with_states(rows, state);
  };
  // States are read chunk by chunk; to retrieve tokens is faster for many at once.
  const int64_t piece = options_.reads_states() ? options_.chunk : kWhole;
  return out_(extend_sequences({x, q, k_(x), v_(x), r}, states, piece, core));
}

Tensor Bsbr::extend_with_tokens(const Rows& rows, AttentionState& state) const {
  if (options_.retrieves()) add_summaries(h_ ? rows.x : rows.k, state);
  const Tensor y = options_.retrieved() > 0
                       ? retrieve_tokens(rows, state)
                       : attend(rows.q, rows.k, rows.v, scale_or_default(0), visible(), state);
  if (!options_.reads_states()) return y;
  const Tensor g = read_on(
      rows, [&] { return take_rows(rows.r, 0, 1, 1); }, state);
  return g.defined() ? add(y, g) : y;
}

Tensor Bsbr::retrieve_tokens(const Rows& rows, AttentionState& state) const {
  const int64_t past = state.position();
  StateRows &k = state["k"], &v = state["v"];
  k.append(positioned(rows.k, past));
  v.append(rows.v);
  return continue_block_retrieval(positioned(rows.q, past), k.data(), v.data(), rows.r, state["h"].data(),
                                  score_gain_, retrieval(), past);
}

void Bsbr::add_summaries(const Tensor& rows, AttentionState& state) const {
  const int64_t c = options_.chunk, tokens = rows.dim(1);
  Tensor mean = state["running_mean"].data().reshape({1, 1, rows.dim(2)});
  for (int64_t t = 0, count; t < tokens; t += count) {
    const int64_t past = (state.position() + t) % c;
    count = std::min(tokens - t, c - past);
    const Tensor ones = Tensor::full({1, count, 1}, 1, rows.dtype(), rows.device());
    add_to_state(ones, take_rows(rows, t, 1, count), 1.0 / static_cast<double>(c), mean);
    if (past + count < c) continue;
    state["h"].append(h_ ? (*h_)(mean) : mean);
    mean.fill(0);
  }
}

Tensor Bsbr::extend_with_states(const Rows& rows, AttentionState& state) const {
  const int64_t c = options_.chunk, position = state.position(), tokens = rows.x.dim(1);
  const Tensor y = attend(rows.q, rows.k, rows.v, scale_or_default(0), visible(), state);
  if (!options_.retrieves()) return y;
  const Tensor g = read_on(
      rows, [&] { return (*r_)(take_rows(rows.x, 0, 1, 1)); }, state);
  if ((position + tokens) % c == 0) state["h"].append((*h_)(take_rows(rows.x, tokens - 1, 1, 1)));
  return g.defined() ? add(y, g) : y;
}

Tensor Bsbr::read_on(const Rows& rows, const std::function<Tensor()>& r, AttentionState& state) const {
  const int64_t c = options_.chunk, position = state.position(), heads = n_head(), d = head_width();
  const Tensor fq = features(rows.q), fk = features(rows.k);
  Tensor g, denominators;
  if (position >= c) {
    if (position % c == 0) mix_states(r(), state);
    g = read_state(fq, state["mixed_state"].data().reshape({heads, d, d}), read_scale());
    if (options_.normalise) denominators = read_state(fq, state["mixed_sum"].data().reshape({heads, d, 1}));
    g = finish_read(g, denominators);
  }
  Tensor running = state["running_state"].data().reshape({heads, d, d});
  add_to_state(fk, rows.v, state_factor(), running);
  if (options_.normalise) {
    Tensor sum = state["running_sum"].data().reshape({heads, d, 1});
    add_to_state(fk, Tensor::full({1, fk.dim(1), heads}, 1, fk.dtype(), fk.device()), state_factor(), sum);
  }
  if ((position + rows.q.dim(1)) % c == 0) finish_chunk(state);
  return g;
}

void Bsbr::mix_states(const Tensor& r, AttentionState& state) const {
  const auto mix = [&](const char* from) {
    return retrieve_next_state(r, state["h"].data(), state[from].data(), state.position() / options_.chunk,
                               n_head(), scale_or_default(0), mixed_chunks());
  };
  Tensor states = mix("states");
  if (decompress_.defined()) states = linear(states, decompress_);
  copy_rows(states.reshape({1, states.size()}), 0, state["mixed_state"].data(), 0, 1);
  if (!options_.normalise) return;
  const Tensor sums = mix("sums");
  copy_rows(sums.reshape({1, sums.size()}), 0, state["mixed_sum"].data(), 0, 1);
}

void Bsbr::finish_chunk(AttentionState& state) const {
  Tensor& running = state["running_state"].data();
  const Tensor matrices = running.reshape({n_head(), head_width() * head_width()});
  const Tensor stored = compress_.defined() ? linear(matrices, compress_) : matrices;
  state["states"].append(stored.reshape({1, stored.size()}));
  running.fill(0);
  if (!options_.normalise) return;
  state["sums"].append(state["running_sum"].data());
  state["running_sum"].data().fill(0);
}

}  // namespace tapestry
