#pragma once

#include "layers/linear.h"

namespace tapestry {

struct MlpOptions {
  bool exact_gelu = false;
  bool bias = true;
  double init_std = 0.02;
  double out_init_std = 0.02;
};

/// down(gelu(up(x))): [B, T, C] -> [B, T, F] -> [B, T, C].
class Mlp : public Module {
 public:
  Mlp(Module& parent, const std::string& name, int64_t width, int64_t inner, MlpOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Linear up_, down_;
  bool exact_gelu_;
};

}  // namespace tapestry
