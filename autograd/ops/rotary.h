#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Rotary positions (Su et al. 2021) by head, x [B, T, C] -> [B, T, C]: channels j and j + d/2 of a head are
/// turned by (first_position + t) theta^(-2j/d), the pairing of GPT-NeoX and Llama. d must be even. Saves
/// nothing.
constexpr double kRotaryBase = 10000;
Tensor rotary(const Tensor& x, int64_t n_head, int64_t first_position = 0, double theta = kRotaryBase);

/// The same with every token turned by one position.
Tensor rotary_at(const Tensor& x, int64_t n_head, int64_t position, double theta = kRotaryBase);

struct RotarySize {
  int64_t batch, tokens, n_head, d, first_position;
  int64_t stride;  // positions from one token to the next
};

namespace cpu {
/// y (+)= x turned by `sign` times the angles.
template <class T>
void rotary(const T* x, T* y, RotarySize size, double theta, double sign, bool accumulate);
}  // namespace cpu
namespace cuda {
template <class T>
void rotary(const T* x, T* y, RotarySize size, double theta, double sign, bool accumulate);
}  // namespace cuda

}  // namespace tapestry
