#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/token_source.h"
#include "layers/language_model.h"
#include "optim/token_mean.h"

namespace tapestry {

/// How a text is cut into windows.
///   windows: disjoint, `seq_len` inputs with their shifted targets; every token but the first is scored
///   once. strided: windows of `seq_len` tokens that advance by `stride`; a window scores the tokens that no
///   earlier window scored, and never its own first token, which has no context there (Hugging Face's strided
///   perplexity with exact sums); it takes two tokens at least.
struct EvalProtocol {
  bool strided = false;
  int64_t seq_len = 1024;
  int64_t stride = 512;
  int64_t batch_size = 8;  // windows that run together; without influence on the sum but for rounding
};

/// One window: tokens [begin, begin + inputs] of the text, of which the last `scored` are targets that count.
struct EvalWindow {
  int64_t begin;
  int64_t inputs;
  int64_t scored;
};
/// The windows over a text of `tokens` tokens.
std::vector<EvalWindow> eval_windows(int64_t tokens, const EvalProtocol& protocol);

/// Receives the NLL of a scored token and how many tokens of its window stand before it.
using NllVisitor = std::function<void(int64_t context, double nll)>;

/// Negative log-likelihood, in nats, of tokens [0, count) of a text. `go_on`, asked after each batch, may end
/// it early: the mean is then that of what was scored so far.
TokenMean mean_nll(const LanguageModel& model, const TokenSource& text, int64_t count,
                   const EvalProtocol& protocol, const std::function<bool(const TokenMean&)>& go_on = {},
                   const NllVisitor& visit = {});

}  // namespace tapestry
