#pragma once

#include "autograd/tape.h"
#include "layers/attention/attention.h"
#include "layers/layer_norm.h"
#include "layers/mlp.h"
#include "layers/model_options.h"

namespace tapestry {

/// Pre-norm transformer block: x + attention(norm_1(x)), then + mlp(norm_2(.)). [B, T, C] -> [B, T, C].
class Block : public Module {
 public:
  Block(Module& parent, const ModelOptions& options, const Config& config, int64_t layer);
  Tensor operator()(const Tensor& x) const { return run(x, nullptr); }
  /// The same; `attention`, unless null, receives what the attention adds to x.
  Tensor run(const Tensor& x, Tensor* attention) const;
  /// The same for the next tokens of sequences whose states take them in, without dropout.
  Tensor extend(const Tensor& x, States states) const;
  /// Runs again on `tape` and backwards from the gradient `dout` of the output, as recompute wants it: the
  /// feed-forward part by rows.
  void replay(Tape& tape, const Tensor& x, Tensor dout) const;
  const Attention& attention() const { return *attention_; }
  /// Tokens that the feed-forward part takes at a time where it does not have to take all of `tokens`.
  int64_t rows_at_once(int64_t tokens) const;

 private:
  Tensor attend(const Tensor& x, Tensor* attention = nullptr) const;
  Tensor feed_forward(const Tensor& y) const;
  /// feed_forward, which treats every token alone, on some tokens at a time, so that what it holds within
  /// does not grow with the sequence.
  Tensor feed_forward_by_rows(const Tensor& y) const;

  LayerNorm norm_1_;
  std::unique_ptr<Attention> attention_;
  LayerNorm norm_2_;
  Mlp mlp_;
  double dropout_;
};

}  // namespace tapestry
