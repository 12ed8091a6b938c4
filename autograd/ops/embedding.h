#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Rows of a table: tokens int32 [...], weight [V, C] -> [..., C]. Throws Error(input) for a token outside
/// [0, V). Saves the tokens.
Tensor embedding(const Tensor& tokens, const Tensor& weight);

/// Throws Error(input) with the position of the first token that is not below `vocab`, or negative unless
/// `allow_negative`.
void check_tokens(const char* op, const Tensor& tokens, int64_t vocab, bool allow_negative = false);

namespace cpu {
/// position = the first i with tokens[i] outside [lowest, vocab), -1 if there is none.
void find_bad_token(const int32_t* tokens, int64_t count, int64_t lowest, int64_t vocab, int64_t* position);
template <class T>
void embedding_forward(const int32_t* tokens, const T* w, T* y, int64_t count, int64_t c);
/// dw (+)= the rows of dy [count, c] at their tokens, added in the order of the tokens.
template <class T>
void embedding_backward(const int32_t* tokens, const T* dy, T* dw, int64_t count, int64_t vocab, int64_t c,
                        bool accumulate);
}  // namespace cpu
namespace cuda {
void find_bad_token(const int32_t* tokens, int64_t count, int64_t lowest, int64_t vocab, int64_t* position);
template <class T>
void embedding_forward(const int32_t* tokens, const T* w, T* y, int64_t count, int64_t c);
template <class T>
void embedding_backward(const int32_t* tokens, const T* dy, T* dw, int64_t count, int64_t vocab, int64_t c,
                        bool accumulate);
}  // namespace cuda

}  // namespace tapestry
