#pragma once

#include <optional>

#include "autograd/ops/retrieve_states.h"
#include "layers/attention/bsbr_options.h"
#include "layers/attention/projected_attention.h"

namespace tapestry {

/// BSBR whose chunks read mixtures of the states of earlier chunks: ATTENTION section 7.1, with the options
/// of 7.7.
class BsbrStates : public ProjectedAttention {
 public:
  BsbrStates(Module& parent, const AttentionDims& dims, const BsbrOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  bool retrieves() const { return r_.has_value(); }
  /// Rows n - 1 and j of r_n from the first token of each chunk that reads, h_j from the last token of each
  /// that is read; [B, N, C].
  struct ChunkKeys {
    Tensor r, h;
  };
  ChunkKeys chunk_keys(const Tensor& x, int64_t finished) const;
  /// What every token reads, g of 7.1 with the gate: [B, T, C].
  Tensor read(const Tensor& q, const Tensor& k, const Tensor& v, const ChunkKeys& keys) const;
  Tensor features(const Tensor& x) const;
  Tensor retrieve(const ChunkKeys& keys, const Tensor& states) const;
  Tensor retrieve_compressed(const ChunkKeys& keys, const Tensor& states) const;
  Tensor denominators(const Tensor& fq, const Tensor& fk, const ChunkKeys& keys) const;
  /// [B, T, H], the values whose states are sums of keys.
  Tensor ones(const Tensor& x) const;
  double read_scale() const;
  /// What is made of what was read, undivided: the quotient, the norm, the gate.
  Tensor finish_read(Tensor g, const Tensor& denominators) const;

  // The same for the next tokens of one sequence, bsbr_states_decode.cpp: rows are x [1, T, C] and its
  // projections.
  struct Rows {
    Tensor x, q, k, v;
  };
  Tensor extend_one(const Rows& rows, AttentionState& state) const;
  /// Pieces begin with a chunk or lie within one.
  PieceLimit piece_limit() const;
  /// What the tokens of a piece read of the states of earlier chunks, undefined in chunk 0. Takes them in.
  Tensor read_on(const Rows& rows, AttentionState& state) const;
  /// The mixtures of the states `from` that chunks with these r read, [M, H size]; the last stays in `mixed`.
  Tensor mix(const Tensor& r, const char* from, const char* mixed, AttentionState& state) const;
  /// Adds k_t^T v_t by head: the states of chunks that end go `to` the others, that of the last is `running`.
  void take_in(const Tensor& k, const Tensor& v, const char* to, const char* running,
               AttentionState& state) const;
  bool is_compressed(const std::string& states) const;
  double state_factor() const { return options_.state_means() ? 1.0 / options_.chunk : 1.0; }

  BsbrOptions options_;
  std::optional<Linear> r_, h_;
  Parameter compress_, decompress_, read_gain_, gate_;
};

}  // namespace tapestry
