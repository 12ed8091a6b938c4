#include "autograd/ops/binary.h"
#include "autograd/ops/copy_rows.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/retrieve_states.h"
#include "autograd/ops/running_state.h"
#include "autograd/ops/take_rows.h"
#include "base/parallel.h"
#include "layers/attention/bsbr_states.h"

/// BSBR that reads states, for sequences that go on: ATTENTION section 7.3.
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

AttentionState BsbrStates::begin_state() const {
  AttentionState state = key_value_state(options_.visible());
  if (!retrieves()) return state;
  const int64_t size = dims_.n_embd * head_width();
  const int64_t kept = options_.compression > 0 ? n_head() * options_.compression : size;
  state.add("h", dims_.n_embd, keep_chunks(options_.chunk));
  state.add("states", kept, keep_chunks(options_.chunk));  // of finished chunks
  state.add("running_state", size, keep_one);              // of the unfinished one
  state.add("mixed_state", size, keep_one);                // what the unfinished one reads
  if (!options_.normalise) return state;
  state.add("sums", dims_.n_embd, keep_chunks(options_.chunk));
  state.add("running_sum", dims_.n_embd, keep_one);
  state.add("mixed_sum", dims_.n_embd, keep_one);
  return state;
}

Tensor BsbrStates::extend(const Tensor& x, States states) const {
  const auto core = [&](const std::vector<Tensor>& in, AttentionState& state) {
    return extend_one({in[0], in[1], in[2], in[3]}, state);
  };
  return out_(extend_sequences({x, q_(x), k_(x), v_(x)}, states, piece_limit(), core));
}

// A chunk that is begun goes on with what it reads already, and the first one reads nothing.
PieceLimit BsbrStates::piece_limit() const {
  if (!retrieves()) return all_at_once;
  return [c = options_.chunk](int64_t position) {
    return position > 0 && position % c == 0 ? kChunksAtOnce * c : c - position % c;
  };
}

Tensor BsbrStates::extend_one(const Rows& rows, AttentionState& state) const {
  const Tensor y = attend(rows.q, rows.k, rows.v, scale_or_default(0), options_.visible(), state);
  if (!retrieves()) return y;
  const int64_t c = options_.chunk, past = state.position() % c, finished = (past + rows.x.dim(1)) / c;
  if (finished > 0) state["h"].append((*h_)(take_rows(rows.x, c - 1 - past, c, finished)));
  const Tensor g = read_on(rows, state);
  return g.defined() ? add(y, g) : y;
}

Tensor BsbrStates::read_on(const Rows& rows, AttentionState& state) const {
  const int64_t c = options_.chunk, position = state.position(), tokens = rows.q.dim(1);
  const Tensor fq = features(rows.q), fk = features(rows.k);
  take_in(fk, rows.v, "states", "running_state", state);
  if (options_.normalise) take_in(fk, ones(fk), "sums", "running_sum", state);
  if (position < c) return {};
  const Tensor keys = position % c == 0 ? (*r_)(take_rows(rows.x, 0, c, ceil_div(tokens, c))) : Tensor();
  const auto read = [&](const char* from, const char* mixed, double scale) {
    return read_by_chunk(fq, keys.defined() ? mix(keys, from, mixed, state) : state[mixed].data(), n_head(),
                         c, scale);
  };
  const Tensor g = read("states", "mixed_state", read_scale());
  return finish_read(g, options_.normalise ? read("sums", "mixed_sum", 1) : Tensor());
}

Tensor BsbrStates::mix(const Tensor& r, const char* from, const char* mixed, AttentionState& state) const {
  Tensor states =
      retrieve_next_states(r, state["h"].data(), state[from].data(), state.position() / options_.chunk,
                           n_head(), scale_or_default(0), options_.retrieved());
  if (is_compressed(from)) states = through(decompress_, states);
  copy_rows(states, states.dim(0) - 1, state[mixed].data(), 0, 1);
  return states;
}

void BsbrStates::take_in(const Tensor& k, const Tensor& v, const char* to, const char* running,
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

bool BsbrStates::is_compressed(const std::string& states) const {
  return compress_.defined() && states == "states";
}

}  // namespace tapestry
