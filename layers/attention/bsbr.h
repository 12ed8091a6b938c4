#pragma once

#include <optional>

#include "autograd/ops/block_retrieval.h"
#include "autograd/ops/retrieve_states.h"
#include "layers/attention/bsbr_options.h"
#include "layers/attention/projected_attention.h"

namespace tapestry {

/// Block sparse attention with block retrieval (ATTENTION section 7): softmax attention within a chunk of
/// tokens, and what is retrieved from earlier chunks.
class Bsbr : public ProjectedAttention {
 public:
  Bsbr(Module& parent, const AttentionDims& dims, const BsbrOptions& options);
  Tensor operator()(const Tensor& x) const override;
  AttentionState begin_state() const override;
  Tensor extend(const Tensor& x, States states) const override;

 private:
  /// The projections r and h of retrieval.
  void add_retrieval_keys(bool bias);
  /// The other parameters of reading states.
  void add_state_reading();

  Tensor local(const Tensor& q, const Tensor& k, const Tensor& v) const;
  int64_t finished(const Tensor& x) const;
  BlockRetrieval retrieval() const;
  /// What pieces of `size` tokens are found by, means of k or of x through h: [B, floor((T - 1) / size), C].
  Tensor mean_keys(const Tensor& x, const Tensor& k, int64_t size) const;
  /// Chunks whose states are mixed, at most.
  int64_t mixed_chunks() const { return options_.reads_tokens() ? retrieve_all : options_.retrieved(); }
  /// Attention to local tokens and those of the retrieved blocks (7.6), and with read = both what is read of
  /// states (docs/bsbr-both.md), before the output projection.
  Tensor local_and_tokens(const Tensor& x) const;
  /// Local attention plus what is read of the states of earlier chunks (7.1), before the output projection.
  Tensor local_and_states(const Tensor& x) const;
  /// Rows n - 1 and j of r_n from the first token of each chunk that reads, h_j from each that is read: its
  /// last token, with read = both its mean; [B, N, C].
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

  // The same for the next tokens of one sequence, bsbr_decode.cpp: rows are x [1, T, C] and its projections.
  struct Rows {
    Tensor x, q, k, v, r;  // r undefined unless tokens are read
  };
  void add_state_parts(AttentionState& state) const;
  Tensor extend_with_tokens(const Rows& rows, AttentionState& state) const;
  Tensor retrieve_tokens(const Rows& rows, AttentionState& state) const;
  Tensor extend_with_states(const Rows& rows, AttentionState& state) const;
  /// Means by which pieces of `size` tokens are found go `to` the others, that of the last is `running`.
  void add_means(const Rows& rows, int64_t size, const char* to, const char* running,
                 AttentionState& state) const;
  /// Where states are read, pieces begin with a chunk or lie within one.
  PieceLimit piece_limit() const;
  /// r of the first tokens of so many chunks.
  using FirstKeys = std::function<Tensor(int64_t chunks)>;
  /// What the tokens of a piece read of the states of earlier chunks, undefined in chunk 0. Takes them in; r
  /// is asked for when they begin a chunk.
  Tensor read_on(const Rows& rows, const FirstKeys& r, AttentionState& state) const;
  /// The mixtures of the states `from` that chunks with these r read, [M, H size]; the last stays in `mixed`.
  Tensor mix(const Tensor& r, const char* from, const char* mixed, AttentionState& state) const;
  /// Adds k_t^T v_t by head: the states of chunks that end go `to` the others, that of the last is `running`.
  void take_in(const Tensor& k, const Tensor& v, const char* to, const char* running,
               AttentionState& state) const;
  bool is_compressed(const std::string& states) const;
  double state_factor() const { return options_.state_means() ? 1.0 / options_.chunk : 1.0; }

  BsbrOptions options_;
  std::optional<Linear> r_, h_;
  Parameter score_gain_, compress_, decompress_, read_gain_, gate_;
};

AttentionKind bsbr_kind();

}  // namespace tapestry
