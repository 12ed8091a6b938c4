#pragma once

#include "autograd/tensor.h"

namespace tapestry {

struct LinearAttention {
  int64_t n_head;
  int64_t chunk;
  bool normalise = true;
  double eps = 1e-6;  // with normalise
  double scale = 1;   // without
};

/// Linear attention over all of the past by head (ATTENTION section 3), q and k after their feature map:
///   o_t = sum_{i<=t} (q_t.k_i) v_i / (sum_{i<=t} q_t.k_i + eps), or without normalise
///   o_t = scale sum_{i<=t} (q_t.k_i) v_i.
/// q, k [B, T, H d], v [B, T, H e] -> [B, T, H e]. The result does not depend on `chunk`; memory is linear in
/// T. Saves q, k, v, one state [d, e] a chunk and, with normalise, the output and one number a row and head.
Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttention& options);

}  // namespace tapestry
