#pragma once

#include "layers/attention/attention.h"
#include "layers/layer_norm.h"
#include "layers/mlp.h"
#include "layers/model_options.h"

namespace tapestry {

/// Pre-norm transformer block: x + attention(norm_1(x)), then + mlp(norm_2(.)). [B, T, C] -> [B, T, C].
class Block : public Module {
 public:
  Block(Module& parent, const ModelOptions& options, const Config& config, int64_t layer);
  Tensor operator()(const Tensor& x) const;
  /// The same for the next tokens of sequences whose states take them in, without dropout.
  Tensor extend(const Tensor& x, States states) const;
  const Attention& attention() const { return *attention_; }

 private:
  LayerNorm norm_1_;
  std::unique_ptr<Attention> attention_;
  LayerNorm norm_2_;
  Mlp mlp_;
  double dropout_;
};

}  // namespace tapestry
