#include "eval/decoding.h"

#include <algorithm>

#include "autograd/random.h"

namespace tapestry {
namespace {

constexpr int64_t kPiece = 4096;  // tokens read at once

}  // namespace

Tensor read_tokens(const LanguageModel& model, std::span<const int32_t> tokens, DecodingState& state,
                   const std::function<void(int64_t done)>& go_on) {
  require(!tokens.empty(), "there is nothing to read");
  const int64_t total = static_cast<int64_t>(tokens.size());
  DecodingState* const states[] = {&state};
  for (int64_t first = 0;; first += kPiece) {
    const int64_t count = std::min(kPiece, total - first);
    const auto piece = tokens.subspan(first, count);
    const Tensor ids = Tensor::from(std::vector<int32_t>(piece.begin(), piece.end()), {1, count});
    if (first + count == total) return model.next_logits(ids, states);
    model.extend(ids, states);
    if (go_on) go_on(first + count);
  }
}

Continuations::Continuations(const LanguageModel& model, DecodingState state, std::vector<int32_t> pending,
                             int64_t count, int64_t vocab_size, const SamplingOptions& sampling,
                             uint64_t seed, const std::function<void(int64_t done)>& go_on)
    : model_(model),
      vocab_size_(std::min(vocab_size, model.options().vocab_size)),
      sampling_(sampling),
      seed_(seed) {
  require(count >= 1 && !pending.empty(), "a text goes on from at least one token");
  const std::span<const int32_t> tokens(pending);
  if (tokens.size() > 1) read_tokens(model, tokens.first(tokens.size() - 1), state, go_on);
  for (int64_t i = 1; i < count; ++i) states_.push_back(state.clone());
  states_.push_back(std::move(state));
  last_.assign(count, pending.back());
}

bool Continuations::has_room() const {
  const ModelOptions& options = model_.options();
  return options.positions != "learned" || states_.front().position() < options.n_ctx;
}

Tensor Continuations::next_logits() {
  std::vector<DecodingState*> states;
  for (DecodingState& state : states_) states.push_back(&state);
  return model_.next_logits(Tensor::from(last_, {static_cast<int64_t>(last_.size()), 1}), states);
}

std::vector<int32_t> Continuations::draw() {
  const int64_t logits_each = model_.options().vocab_size;
  const std::vector<float> logits = next_logits().values<float>();
  for (size_t i = 0; i < states_.size(); ++i) {
    const double uniform = random_uniform(combine_keys(seed_, i), states_[i].position());
    const std::span<const float> own(logits.data() + i * logits_each, vocab_size_);
    last_[i] = static_cast<int32_t>(sample_token(own, sampling_, uniform));
  }
  return last_;
}

}  // namespace tapestry
