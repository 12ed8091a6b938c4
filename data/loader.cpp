#include "data/loader.h"

#include <cstdio>

#include "autograd/random.h"
#include "data/permutation.h"

namespace tapestry {
namespace {

enum Stream : uint64_t { kOffset, kOrder };

// Row `row` of the batch becomes the window that starts at token `first`.
void fill_row(const TokenSource& tokens, int64_t first, int64_t row, Batch& batch) {
  std::vector<int32_t> window(static_cast<size_t>(batch.seq_len + 1));
  tokens.read(first, batch.seq_len + 1, window.data());
  std::copy_n(window.begin(), batch.seq_len, batch.tokens.begin() + row * batch.seq_len);
  std::copy_n(window.begin() + 1, batch.seq_len, batch.targets.begin() + row * batch.seq_len);
}

Batch empty_batch(int64_t batch_size, int64_t seq_len) {
  const auto count = static_cast<size_t>(batch_size * seq_len);
  return {std::vector<int32_t>(count), std::vector<int32_t>(count), batch_size, seq_len};
}

}  // namespace

Loader::Loader(std::shared_ptr<const TokenSource> tokens, const BatchOptions& options)
    : tokens_(std::move(tokens)), options_(options) {
  require(options.seq_len > 0 && options.batch_size > 0 && options.grad_accum > 0, "seq_len ",
          options.seq_len, ", batch_size ", options.batch_size, ", grad_accum ", options.grad_accum,
          ": all must be at least 1");
  const int64_t targets = tokens_->size() - 1;
  check(targets >= options.seq_len, Exit::input, tokens_->name(), ": ", tokens_->size(),
        " tokens are too few for one window of seq_len ", options.seq_len, ", which needs ",
        options.seq_len + 1, "; use more text or a smaller seq_len");
  windows_ = targets / options.seq_len;
  left_over_ = targets % options.seq_len;
}

int64_t Loader::window_start(int64_t window) const {
  require(window >= 0, "window ", window);
  const auto epoch = static_cast<uint64_t>(window / windows_);
  const uint64_t key = combine_keys(static_cast<uint64_t>(options_.seed), epoch);
  const auto offset = static_cast<int64_t>(random_bits(key, kOffset) % static_cast<uint64_t>(left_over_ + 1));
  const Permutation order(windows_, combine_keys(key, kOrder));
  return offset + order[window % windows_] * options_.seq_len;
}

Batch Loader::batch(int64_t step, int64_t micro) const {
  require(step >= 0 && micro >= 0 && micro < options_.grad_accum, "step ", step, ", micro-batch ", micro,
          " of ", options_.grad_accum);
  Batch batch = empty_batch(options_.batch_size, options_.seq_len);
  const int64_t first = step * windows_per_step() + micro * options_.batch_size;
  for (int64_t row = 0; row < options_.batch_size; ++row)
    fill_row(*tokens_, window_start(first + row), row, batch);
  return batch;
}

double Loader::epoch(int64_t step) const {
  return static_cast<double>(step * windows_per_step()) / static_cast<double>(windows_);
}

std::string Loader::progress(int64_t step) const {
  char text[32];
  std::snprintf(text, sizeof text, "epoch %.3f", epoch(step));
  return text;
}

}  // namespace tapestry
