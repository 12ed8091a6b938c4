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

  Visible visible() const {
    return {.chunk = options_.chunk, .reach = options_.overlap, .sink = options_.sink};
  }
  Tensor local(const Tensor& q, const Tensor& k, const Tensor& v) const;
  int64_t finished(const Tensor& x) const;
  BlockRetrieval retrieval() const;
  /// Chunks whose states are mixed, at most.
  int64_t mixed_chunks() const { return options_.reads_tokens() ? retrieve_all : options_.retrieved(); }
  /// Attention to local tokens and those of the retrieved chunks (7.6), and with read = both what is read of
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
  void add_summaries(const Tensor& rows, AttentionState& state) const;
  /// What tokens of one chunk read of the states of earlier ones, undefined in chunk 0. Takes them in; r of
  /// their chunk's first token is asked for when they begin with it.
  Tensor read_on(const Rows& rows, const std::function<Tensor()>& r, AttentionState& state) const;
  void mix_states(const Tensor& r, AttentionState& state) const;
  void finish_chunk(AttentionState& state) const;
  double state_factor() const { return options_.state_means() ? 1.0 / options_.chunk : 1.0; }

  BsbrOptions options_;
  std::optional<Linear> r_, h_;
  Parameter score_gain_, compress_, decompress_, read_gain_, gate_;
};

AttentionKind bsbr_kind();

}  // namespace tapestry
