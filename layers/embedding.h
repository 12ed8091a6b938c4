#pragma once

#include "layers/module.h"

namespace tapestry {

/// A table of rows: tokens [B, T] -> [B, T, C], weight [V, C].
class Embedding : public Module {
 public:
  Embedding(Module& parent, const std::string& name, int64_t rows, int64_t width, double init_std = 0.02);
  Tensor operator()(const Tensor& tokens) const;
  const Parameter& weight() const { return weight_; }

 private:
  Parameter weight_;
};

}  // namespace tapestry
