#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "layers/module.h"

namespace tapestry {

/// Rows [0, pinned) and [begin, end) of a sequence of rows, pinned <= begin.
struct KeptRows {
  int64_t pinned = 0, begin = 0, end = 0;
  int64_t count() const { return pinned + end - begin; }
};

/// Which rows a state keeps, as a function of the tokens that the sequence has had.
using Keep = std::function<KeptRows(int64_t position)>;
/// One row for each token, for ever.
KeptRows keep_all(int64_t position);
/// A single row that is there from the start, of zeros.
KeptRows keep_one(int64_t position);
/// One row for each finished chunk.
Keep keep_chunks(int64_t chunk);
/// The rows of the last `tokens` tokens.
Keep keep_last(int64_t tokens);
/// The rows of the unfinished chunk's tokens.
Keep keep_unfinished(int64_t chunk);

/// Numbers that a state keeps: rows of one width in the order of the sequence. Room grows by half, so that a
/// row costs the same however many there are, and rows that are no longer kept make room for new ones; what a
/// long piece took is given back.
class StateRows {
 public:
  StateRows(std::string name, int64_t width, Keep keep, const ModuleContext& context);

  const std::string& name() const { return name_; }
  int64_t width() const { return width_; }
  /// Rows so far, those that are no longer kept included.
  int64_t end() const { return kept_.end; }
  const KeptRows& kept() const { return kept_; }
  /// What would be kept after `position` tokens.
  KeptRows kept_at(int64_t position) const { return keep_(position); }

  /// Adds rows [..., width] at the end.
  void append(const Tensor& rows);
  /// Drops what is not kept after `position` tokens.
  void settle(int64_t position);
  /// All memory, [room, width]. Row i of the sequence is row i if it is pinned, else row i - gap().
  const Tensor& data() const { return data_; }
  Tensor& data() { return data_; }
  int64_t gap() const { return gap_; }
  /// A copy of rows that are kept, [1, end - begin, width].
  Tensor rows(int64_t begin, int64_t end) const;
  /// The kept rows alone, [count, width], and the way back: as after `position` tokens.
  Tensor packed() const;
  void unpack(const Tensor& packed, int64_t position);

  StateRows clone() const;
  int64_t used_bytes() const { return kept_.count() * width_ * size_of(data_.dtype()); }
  int64_t held_bytes() const { return data_.bytes(); }

 private:
  void make_room(int64_t needed);
  /// Puts what is kept into memory of its own for `room` rows.
  void move_to(int64_t room);

  std::string name_;
  int64_t width_;
  Keep keep_;
  KeptRows kept_;
  int64_t gap_ = 0;
  Tensor data_;
};

/// The sum of what `bytes` returns for each part.
template <class Part>
int64_t sum_of(const std::vector<Part>& parts, int64_t (Part::*bytes)() const) {
  int64_t sum = 0;
  for (const Part& part : parts) sum += (part.*bytes)();
  return sum;
}

/// What one attention layer remembers of one sequence. The layer says what there is and how long each part is
/// kept; counting, saving and loading are the same for all.
class AttentionState {
 public:
  explicit AttentionState(const ModuleContext& context) : context_(context) {}
  /// `width` numbers a row.
  void add(const std::string& name, int64_t width, Keep keep);

  /// Tokens that the sequence has had.
  int64_t position() const { return position_; }
  StateRows& operator[](const std::string& name);
  std::vector<StateRows>& parts() { return parts_; }
  const std::vector<StateRows>& parts() const { return parts_; }
  /// The layer has taken `tokens` more in: what they made superfluous goes.
  void advance(int64_t tokens);
  /// For loading: the parts have been unpacked as of `position`.
  void set_position(int64_t position) { position_ = position; }

  /// One that goes its own way from here.
  AttentionState clone() const;
  /// Bytes of the rows that are kept, and of the memory that holds them.
  int64_t used_bytes() const { return sum_of(parts_, &StateRows::used_bytes); }
  int64_t held_bytes() const { return sum_of(parts_, &StateRows::held_bytes); }

 private:
  ModuleContext context_;
  int64_t position_ = 0;
  std::vector<StateRows> parts_;
};

/// The states of the sequences of a batch.
using States = std::span<AttentionState* const>;

/// The most tokens that a piece may have which begins after `position` tokens.
using PieceLimit = std::function<int64_t(int64_t position)>;
/// No limit.
int64_t all_at_once(int64_t position);
/// The tokens up to the end of the chunk.
PieceLimit within_chunk(int64_t chunk);
/// What a layer computes for tokens of one sequence: rows [1, n, .] of each input -> [1, n, .].
using SequenceCore = std::function<Tensor(const std::vector<Tensor>& rows, AttentionState& state)>;
/// Calls `core` for each sequence of a batch, inputs [B, T, .], whose state is that of the tokens before, and
/// then advances that; in pieces of at most `limit` tokens. -> [B, T, .]
Tensor extend_sequences(const std::vector<Tensor>& inputs, States states, const PieceLimit& limit,
                        const SequenceCore& core);

}  // namespace tapestry
