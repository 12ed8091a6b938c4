#pragma once

#include <limits>

#include "autograd/ops/softmax_attention.h"

namespace tapestry {

/// Which keys a token reads besides those of its own chunk. Chunks are whole blocks.
struct BlockRetrieval {
  int64_t n_head = 1;
  double scale = 1;
  int64_t chunk = 1;
  int64_t block = 1;    // tokens that are retrieved together
  int64_t topk = 0;     // blocks that a token retrieves, at most
  int64_t overlap = 0;  // keys before its chunk that it always reads
  int64_t sink = 0;     // first keys of the sequence that it always reads
  bool score_bias = true;
  bool hierarchical = false;  // the score is the weight of the block; needs score_bias
  int64_t heads = std::numeric_limits<int64_t>::max();  // the last ones retrieve, at most all of them
};

/// Queries and keys, [B, T, C] each, whose products score the tokens that are read.
struct TokenScores {
  Tensor q, k;
};

/// Token-level block retrieval (ATTENTION section 7.6): by head, each token reads its local keys and, in
/// heads that retrieve, those of the `topk` blocks j of finished chunks with the largest s_tj = scale
/// r_t.h_j, in one softmax. `local` scores the local tokens, `remote` the retrieved ones; undefined, it is
/// `local`. v, r [B, T, C], h [B, N, C] the summaries of the N = floor((T - 1) / block) first blocks ->
/// [B, T, C]. With score_bias, s_tj, times the head's gain [H] where it is defined, is added to the scores of
/// the block's keys: through it alone r, h and gain get gradients. Hierarchical, the n keys of the block that
/// t retrieves weigh n exp(s_tj) in all, shared by the softmax of their own scores (docs/bsbr-tokens.md). The
/// choice of blocks is a constant for the gradient. Saves its inputs, the output, and by head one number for
/// each token and two for each retrieved block.
Tensor block_retrieval(const TokenScores& local, const TokenScores& remote, const Tensor& v, const Tensor& r,
                       const Tensor& h, const Tensor& gain, const BlockRetrieval& options);

/// The same for tokens that follow others: q and remote.q, r [1, T, C] -> [1, T, C]. `local` holds what they
/// read locally, as continue_softmax_attention takes it; remote.k and v [rows, C] hold all tokens, the new
/// ones included, and h [rows, C] the summaries of all blocks finished before the last token. Not recorded.
Tensor continue_block_retrieval(const Tensor& q, const KeptKeys& local, const TokenScores& remote,
                                const Tensor& v, const Tensor& r, const Tensor& h, const Tensor& gain,
                                const BlockRetrieval& options);

}  // namespace tapestry
