#include "train/mean_nll.h"

#include <algorithm>

namespace tapestry {
namespace {

/// Runs windows [first, last), all with the same number of inputs, and adds what they score.
void add_batch(const LanguageModel& model, const TokenSource& text,
               std::vector<EvalWindow>::const_iterator first, std::vector<EvalWindow>::const_iterator last,
               TokenMean& mean, const NllVisitor& visit) {
  const int64_t inputs = first->inputs;
  std::vector<int32_t> tokens, targets, read(inputs + 1);
  for (auto window = first; window != last; ++window) {
    text.read(window->begin, inputs + 1, read.data());
    tokens.insert(tokens.end(), read.begin(), read.end() - 1);
    targets.insert(targets.end(), read.begin() + 1, read.end());
  }
  const Shape shape{last - first, inputs};
  const auto nll =
      model.token_nll(Tensor::from(tokens, shape), Tensor::from(targets, shape)).values<double>();
  for (auto window = first; window != last; ++window) {
    const auto of_window = nll.begin() + (window - first) * inputs;
    for (int64_t context = inputs - window->scored + 1; context <= inputs; ++context) {
      const double value = of_window[context - 1];
      mean.add(value, 1);
      if (visit) visit(context, value);
    }
  }
}

}  // namespace

std::vector<EvalWindow> eval_windows(int64_t tokens, const EvalProtocol& protocol) {
  require(protocol.seq_len >= 1 &&
              (!protocol.strided || (protocol.stride >= 1 && protocol.stride <= protocol.seq_len)),
          "a stride lies between 1 and the window's length, got stride ", protocol.stride, " and seq_len ",
          protocol.seq_len);
  require(!protocol.strided || protocol.seq_len >= 2,
          "a strided window of one token has none that it could score");
  std::vector<EvalWindow> windows;
  if (!protocol.strided) {
    for (int64_t begin = 0; begin + 1 < tokens; begin += protocol.seq_len) {
      const int64_t inputs = std::min(protocol.seq_len, tokens - 1 - begin);
      windows.push_back({begin, inputs, inputs});
    }
    return windows;
  }
  for (int64_t begin = 0, scored_to = 0; scored_to < tokens; begin += protocol.stride) {
    const int64_t end = std::min(begin + protocol.seq_len, tokens);
    const int64_t inputs = end - begin - 1;
    if (inputs > 0) windows.push_back({begin, inputs, std::min(end - scored_to, inputs)});
    scored_to = end;
  }
  return windows;
}

TokenMean mean_nll(const LanguageModel& model, const TokenSource& text, int64_t count,
                   const EvalProtocol& protocol, const std::function<bool(const TokenMean&)>& go_on,
                   const NllVisitor& visit) {
  const std::vector<EvalWindow> windows = eval_windows(count, protocol);
  check(!windows.empty(), Exit::input, text.name(), ": ", count,
        " tokens leave nothing to score, it takes at least two");
  TokenMean mean;
  for (auto first = windows.begin(); first != windows.end();) {
    auto last = first + 1;
    while (last != windows.end() && last - first < protocol.batch_size && last->inputs == first->inputs)
      ++last;
    add_batch(model, text, first, last, mean, visit);
    first = last;
    if (go_on && !go_on(mean)) break;
  }
  return mean;
}

}  // namespace tapestry
