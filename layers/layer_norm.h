#pragma once

#include "layers/module.h"

namespace tapestry {

/// Layer normalisation over the last axis with gain `weight` and, if wanted, `bias` (ATTENTION 0.2).
class LayerNorm : public Module {
 public:
  LayerNorm(Module& parent, const std::string& name, int64_t width, bool bias = true, double eps = 1e-5);
  Tensor operator()(const Tensor& x) const;

 private:
  Parameter weight_, bias_;
  double eps_;
};

}  // namespace tapestry
