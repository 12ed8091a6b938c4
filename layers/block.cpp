#include "layers/block.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/ops/binary.h"
#include "autograd/ops/copy_rows.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/take_rows.h"

namespace tapestry {
namespace {

constexpr double kInitStd = 0.02;
/// Tokens that the feed-forward part takes at a time where it does not have to take all: enough for products
/// at the full rate.
constexpr int64_t kRowsAtOnce = 4096;

/// x [..., C] as rows, `count` of them from `first` on.
Tensor rows_of(const Tensor& x, int64_t first, int64_t count) {
  const int64_t rows = x.shape().rows();
  const Tensor all = x.detach().reshape({rows, x.dim(-1)});
  return count == rows ? all : take_rows(all, first, 1, count);
}

/// GPT-2 scales what is added to the residual stream by the number of additions.
double residual_init_std(const ModelOptions& options) { return kInitStd / std::sqrt(2.0 * options.n_layer); }

AttentionDims attention_dims(const ModelOptions& options) {
  return {.n_embd = options.n_embd,
          .n_head = options.n_head,
          .bias = options.bias,
          .rotary = options.positions == "rotary",
          .init_std = kInitStd,
          .out_init_std = residual_init_std(options)};
}

}  // namespace

Block::Block(Module& parent, const ModelOptions& options, const Config& config, int64_t layer)
    : Module(parent, join("blocks.", layer)),
      norm_1_(*this, "norm_1", options.n_embd, options.bias, options.norm_eps),
      attention_(
          attention_kind(options.attention_of(layer)).make(*this, attention_dims(options), config, layer)),
      norm_2_(*this, "norm_2", options.n_embd, options.bias, options.norm_eps),
      mlp_(*this, "mlp", options.n_embd, options.inner(),
           {options.activation == "gelu_exact", options.bias, kInitStd, residual_init_std(options)}),
      dropout_(options.dropout) {}

Tensor Block::run(const Tensor& x, Tensor* attention) const {
  const Tensor y = attend(x, attention);
  return Tape::recording() ? feed_forward(y) : feed_forward_by_rows(y);
}

Tensor Block::attend(const Tensor& x, Tensor* attention) const {
  const Tensor read = (*attention_)(norm_1_(x));
  if (attention != nullptr) *attention = read;
  return add(x, dropout(read, dropout_));
}

Tensor Block::feed_forward(const Tensor& y) const { return add(y, dropout(mlp_(norm_2_(y)), dropout_)); }

// The random numbers of dropout are those of one whole tensor.
int64_t Block::rows_at_once(int64_t rows) const { return dropout_ > 0 ? rows : std::min(rows, kRowsAtOnce); }

Tensor Block::feed_forward_by_rows(const Tensor& y) const {
  const int64_t rows = y.shape().rows(), block = rows_at_once(rows);
  if (block == rows) return feed_forward(y);
  Tensor out = Tensor::empty_like(y);
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    copy_rows(feed_forward(rows_of(y, first, count)), 0, out, first, count);
  }
  return out;
}

void Block::replay(Tape& tape, const Tensor& x, Tensor dout) const {
  Tensor y = attend(x);
  const int64_t rows = y.shape().rows(), block = rows_at_once(rows);
  Tensor dy = Tensor::empty_like(y);
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    const Tensor dout_rows = rows_of(dout, first, count);
    Tape rows_tape(tape.random_key(), tape.next_stream());
    const Tensor y_rows = rows_tape.watch(rows_of(y, first, count));
    rows_tape.backward(feed_forward(y_rows), dout_rows);
    copy_rows(rows_tape.gradient(y_rows), 0, dy, first, count);
  }
  dout = {};
  tape.backward(std::move(y), std::move(dy));
}

Tensor Block::extend(const Tensor& x, States states) const {
  const Tensor y = add(x, attention_->extend(norm_1_(x), states));
  return add(y, mlp_(norm_2_(y)));
}

}  // namespace tapestry
