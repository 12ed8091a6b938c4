#pragma once

#include "layers/module.h"

namespace tapestry {

struct LinearOptions {
  bool bias = true;
  double init_std = 0.02;
};

/// y = x W + b, [..., in] -> [..., out], W [in, out].
class Linear : public Module {
 public:
  Linear(Module& parent, const std::string& name, int64_t in, int64_t out, LinearOptions options = {});
  Tensor operator()(const Tensor& x) const;
  const Parameter& weight() const { return weight_; }
  const Parameter& bias() const { return bias_; }  // undefined without bias

 private:
  Parameter weight_, bias_;
};

}  // namespace tapestry
