#include <algorithm>

#include "autograd/ops/binary.h"
#include "autograd/ops/copy_rows.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/retrieve_states.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/take_rows.h"
#include "base/parallel.h"
#include "layers/attention/bsbr.h"

/// BSBR for sequences that go on: ATTENTION section 7.3, and for tokens the decoding of 7.6.
namespace tapestry {
namespace {

/// A piece has at most so many, and with it the scores and mixtures of states that are held at a time.
constexpr int64_t kChunksAtOnce = 64;

/// States of all heads in a row, [N, H size], each through a map of [size, m]: [N, H m].
Tensor through(const Parameter& map, const Tensor& states) {
  const Tensor mapped = linear(states.reshape({states.size() / map.shape()[0], map.shape()[0]}), map);
  return mapped.reshape({states.dim(0), mapped.size() / states.dim(0)});
}

}  // namespace

AttentionState Bsbr::begin_state() const {
  const bool every_key = options_.reads_tokens() && options_.retrieved() > 0;
  AttentionState state = key_value_state(every_key ? Visible{} : options_.visible());
  if (!options_.retrieves()) return state;
  if (every_key) {
    state.add("block_keys", dims_.n_embd, keep_chunks(options_.block_size()));
    state.add("running_block_key", dims_.n_embd, keep_one);
  }
  if (options_.reads_states()) add_state_parts(state);
  return state;
}

void Bsbr::add_state_parts(AttentionState& state) const {
  const int64_t size = dims_.n_embd * head_width();
  const int64_t kept = options_.compression > 0 ? n_head() * options_.compression : size;
  state.add("h", dims_.n_embd, keep_chunks(options_.chunk));
  if (options_.reads_tokens()) state.add("running_h", dims_.n_embd, keep_one);
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
  return out_(extend_sequences({x, q, k_(x), v_(x), r}, states, piece_limit(), core));
}

// A chunk that is begun goes on with what it reads already, and the first one reads nothing.
PieceLimit Bsbr::piece_limit() const {
  if (!options_.reads_states()) return all_at_once;
  return [c = options_.chunk](int64_t position) {
    return position > 0 && position % c == 0 ? kChunksAtOnce * c : c - position % c;
  };
}

Tensor Bsbr::extend_with_tokens(const Rows& rows, AttentionState& state) const {
  const Tensor y = options_.retrieved() > 0
                       ? retrieve_tokens(rows, state)
                       : attend(rows.q, rows.k, rows.v, scale_or_default(0), options_.visible(), state);
  if (!options_.reads_states()) return y;
  add_means(rows, options_.chunk, "h", "running_h", state);
  const Tensor g = read_on(
      rows, [&](int64_t chunks) { return take_rows(rows.r, 0, options_.chunk, chunks); }, state);
  return g.defined() ? add(y, g) : y;
}

Tensor Bsbr::retrieve_tokens(const Rows& rows, AttentionState& state) const {
  const int64_t past = state.position();
  add_means(rows, options_.block_size(), "block_keys", "running_block_key", state);
  StateRows &k = state["k"], &v = state["v"];
  k.append(positioned(rows.k, past));
  v.append(rows.v);
  return continue_block_retrieval(positioned(rows.q, past), k.data(), v.data(), rows.r,
                                  state["block_keys"].data(), score_gain_, retrieval(), past);
}

void Bsbr::add_means(const Rows& rows, int64_t size, const char* to, const char* running,
                     AttentionState& state) const {
  const Tensor& of = h_ ? rows.x : rows.k;
  const int64_t tokens = of.dim(1);
  Tensor mean = state[running].data().reshape({1, 1, of.dim(2)});
  for (int64_t t = 0, count; t < tokens; t += count) {
    const int64_t past = (state.position() + t) % size;
    count = std::min(tokens - t, size - past);
    const Tensor ones = Tensor::full({1, count, 1}, 1, of.dtype(), of.device());
    add_to_state(ones, take_rows(of, t, 1, count), 1.0 / static_cast<double>(size), mean);
    if (past + count < size) continue;
    state[to].append(h_ ? (*h_)(mean) : mean);
    mean.fill(0);
  }
}

Tensor Bsbr::extend_with_states(const Rows& rows, AttentionState& state) const {
  const Tensor y = attend(rows.q, rows.k, rows.v, scale_or_default(0), options_.visible(), state);
  if (!options_.retrieves()) return y;
  const int64_t c = options_.chunk, past = state.position() % c, finished = (past + rows.x.dim(1)) / c;
  if (finished > 0) state["h"].append((*h_)(take_rows(rows.x, c - 1 - past, c, finished)));
  const Tensor g = read_on(
      rows, [&](int64_t chunks) { return (*r_)(take_rows(rows.x, 0, c, chunks)); }, state);
  return g.defined() ? add(y, g) : y;
}

Tensor Bsbr::read_on(const Rows& rows, const FirstKeys& r, AttentionState& state) const {
  const int64_t c = options_.chunk, position = state.position(), tokens = rows.q.dim(1);
  const Tensor fq = features(rows.q), fk = features(rows.k);
  take_in(fk, rows.v, "states", "running_state", state);
  if (options_.normalise) take_in(fk, ones(fk), "sums", "running_sum", state);
  if (position < c) return {};
  const Tensor keys = position % c == 0 ? r(ceil_div(tokens, c)) : Tensor();
  const auto read = [&](const char* from, const char* mixed, double scale) {
    return read_by_chunk(fq, keys.defined() ? mix(keys, from, mixed, state) : state[mixed].data(), n_head(),
                         c, scale);
  };
  const Tensor g = read("states", "mixed_state", read_scale());
  return finish_read(g, options_.normalise ? read("sums", "mixed_sum", 1) : Tensor());
}

Tensor Bsbr::mix(const Tensor& r, const char* from, const char* mixed, AttentionState& state) const {
  Tensor states =
      retrieve_next_states(r, state["h"].data(), state[from].data(), state.position() / options_.chunk,
                           n_head(), scale_or_default(0), mixed_chunks());
  if (is_compressed(from)) states = through(decompress_, states);
  copy_rows(states, states.dim(0) - 1, state[mixed].data(), 0, 1);
  return states;
}

void Bsbr::take_in(const Tensor& k, const Tensor& v, const char* to, const char* running,
                   AttentionState& state) const {
  const int64_t c = options_.chunk, tokens = k.dim(1), past = state.position() % c;
  const int64_t whole = past == 0 ? tokens / c * c : 0, rest = tokens - whole;
  const auto finish = [&](const Tensor& states) {
    state[to].append(is_compressed(to) ? through(compress_, states) : states);
  };
  if (whole > 0) finish(states_of_chunks(k, v, n_head(), c, state_factor()));
  if (rest == 0) return;
  Tensor& sum = state[running].data();
  Tensor matrices = sum.reshape({n_head(), head_width(), v.dim(2) / n_head()});
  const auto last = [&](const Tensor& x) { return whole > 0 ? take_rows(x, whole, 1, rest) : x; };
  add_to_state(last(k), last(v), state_factor(), matrices);
  if (past + rest < c) return;
  finish(sum);
  sum.fill(0);
}

bool Bsbr::is_compressed(const std::string& states) const {
  return compress_.defined() && states == "states";
}

}  // namespace tapestry
