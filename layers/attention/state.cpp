#include "layers/attention/state.h"

#include <algorithm>
#include <limits>

#include "autograd/ops/copy_rows.h"
#include "autograd/ops/take_rows.h"

namespace tapestry {
namespace {

constexpr int64_t kSpareRows = 128;  // may stay free, however few are kept

}  // namespace

KeptRows keep_all(int64_t position) { return {0, 0, position}; }

KeptRows keep_one(int64_t) { return {0, 0, 1}; }

Keep keep_chunks(int64_t chunk) {
  return [chunk](int64_t position) { return KeptRows{0, 0, position / chunk}; };
}

Keep keep_last(int64_t tokens) {
  return [tokens](int64_t position) {
    return KeptRows{0, std::max<int64_t>(0, position - tokens), position};
  };
}

Keep keep_unfinished(int64_t chunk) {
  return [chunk](int64_t position) { return KeptRows{0, position / chunk * chunk, position}; };
}

StateRows::StateRows(std::string name, int64_t width, Keep keep, const ModuleContext& context)
    : name_(std::move(name)),
      width_(width),
      keep_(std::move(keep)),
      data_(Tensor::zeros({keep_(0).count(), width}, context.dtype, context.device)) {
  kept_ = keep_(0);
}

void StateRows::append(const Tensor& rows) {
  const int64_t count = rows.shape().rows();
  require(rows.dim(-1) == width_, "state '", name_, "' has rows of ", width_, " numbers, got ", rows.shape());
  if (kept_.end - gap_ + count > data_.dim(0)) make_room(kept_.count() + count);
  copy_rows(rows, 0, data_, kept_.end - gap_, count);
  kept_.end += count;
}

void StateRows::make_room(int64_t needed) {
  // Moving what is kept is paid for by the rows that go: a quarter of it at least, or the room grows.
  const bool enough = needed + needed / 4 <= data_.dim(0);
  move_to(enough ? data_.dim(0) : needed + needed / 2);
}

void StateRows::move_to(int64_t room) {
  Tensor data = Tensor::empty({room, width_}, data_.dtype(), data_.device());
  copy_rows(data_, 0, data, 0, kept_.pinned);
  copy_rows(data_, kept_.begin - gap_, data, kept_.pinned, kept_.end - kept_.begin);
  data_ = data;
  gap_ = kept_.begin - kept_.pinned;
}

void StateRows::settle(int64_t position) {
  const KeptRows kept = keep_(position);
  require(kept.end == kept_.end, "state '", name_, "' has ", kept_.end, " rows after ", position,
          " tokens, not ", kept.end);
  kept_ = kept;
  // After a long piece most of the room may be free for good.
  if (data_.dim(0) > 2 * (kept_.count() + kSpareRows)) move_to(kept_.count() + kept_.count() / 2);
}

Tensor StateRows::rows(int64_t begin, int64_t end) const {
  require(begin >= kept_.begin && end <= kept_.end, "state '", name_, "' keeps rows ", kept_.begin, " to ",
          kept_.end, ", not ", begin, " to ", end);
  Tensor copy = Tensor::empty({1, end - begin, width_}, data_.dtype(), data_.device());
  copy_rows(data_, begin - gap_, copy, 0, end - begin);
  return copy;
}

Tensor StateRows::packed() const {
  Tensor copy = Tensor::empty({kept_.count(), width_}, data_.dtype(), data_.device());
  copy_rows(data_, 0, copy, 0, kept_.pinned);
  copy_rows(data_, kept_.begin - gap_, copy, kept_.pinned, kept_.end - kept_.begin);
  return copy;
}

void StateRows::unpack(const Tensor& packed, int64_t position) {
  const KeptRows kept = keep_(position);
  require(packed.shape() == Shape{kept.count(), width_}, "state '", name_, "' needs rows [", kept.count(),
          ", ", width_, "] after ", position, " tokens, got ", packed.shape());
  data_ = packed.to(data_.device());
  kept_ = kept;
  gap_ = kept.begin - kept.pinned;
}

StateRows StateRows::clone() const {
  StateRows copy = *this;
  copy.data_ = data_.clone();
  return copy;
}

void AttentionState::add(const std::string& name, int64_t width, Keep keep) {
  parts_.emplace_back(name, width, std::move(keep), context_);
}

StateRows& AttentionState::operator[](const std::string& name) {
  const auto found =
      std::find_if(parts_.begin(), parts_.end(), [&](const StateRows& part) { return part.name() == name; });
  require(found != parts_.end(), "this state has no part '", name, "'");
  return *found;
}

void AttentionState::advance(int64_t tokens) {
  position_ += tokens;
  for (StateRows& part : parts_) part.settle(position_);
}

AttentionState AttentionState::clone() const {
  AttentionState copy(context_);
  copy.position_ = position_;
  for (const StateRows& part : parts_) copy.parts_.push_back(part.clone());
  return copy;
}

int64_t all_at_once(int64_t) { return std::numeric_limits<int64_t>::max(); }

PieceLimit within_chunk(int64_t chunk) {
  return [chunk](int64_t position) { return chunk - position % chunk; };
}

Tensor extend_sequences(const std::vector<Tensor>& inputs, States states, const PieceLimit& limit,
                        const SequenceCore& core) {
  const int64_t batch = inputs.front().dim(0), tokens = inputs.front().dim(1);
  require(static_cast<int64_t>(states.size()) == batch, batch, " sequences but ", states.size(), " states");
  Tensor joined;
  for (int64_t b = 0; b < batch; ++b) {
    AttentionState& state = *states[b];
    for (int64_t t = 0, count; t < tokens; t += count) {
      count = std::min(tokens - t, limit(state.position()));
      std::vector<Tensor> rows;
      for (const Tensor& x : inputs) {
        const Tensor all = x.reshape({1, batch * tokens, x.dim(2)});
        rows.push_back(count == batch * tokens ? all : take_rows(all, b * tokens + t, 1, count));
      }
      const Tensor y = core(rows, state);
      state.advance(count);
      if (batch == 1 && count == tokens) return y;
      if (!joined.defined()) joined = Tensor::empty({batch, tokens, y.dim(2)}, y.dtype(), y.device());
      copy_rows(y, 0, joined, b * tokens + t, count);
    }
  }
  return joined;
}

}  // namespace tapestry
