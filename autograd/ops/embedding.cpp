#include "autograd/ops/embedding.h"

#include <algorithm>
#include <limits>

#include "autograd/rows.h"
#include "autograd/tape.h"

namespace tapestry {
void check_tokens(const char* op, const Tensor& tokens, int64_t vocab, bool allow_negative) {
  const int64_t lowest = allow_negative ? std::numeric_limits<int32_t>::min() : 0;
  int64_t bad = -1;
  LAUNCH(tokens.device(), find_bad_token(tokens.data<int32_t>(), tokens.size(), lowest, vocab, &bad));
  if (bad < 0) return;
  fail(Exit::input, op, ": token ", tokens.values<int32_t>()[bad], " at position ", bad,
       " is outside the vocabulary of ", vocab, "; were the tokens made with another tokenizer?");
}

Tensor embedding(const Tensor& tokens, const Tensor& weight) {
  require(weight.rank() == 2, "embedding: the table must be [V, C], got ", weight.shape());
  const int64_t count = tokens.size(), vocab = weight.dim(0), c = weight.dim(1);
  check_tokens("embedding", tokens, vocab);
  const Tensor there = tokens.to(weight.device());
  Tensor y = Tensor::empty(tokens.shape().append(c), weight.dtype(), weight.device());
  for_float(weight.dtype(), [&]<class T>(T) {
    LAUNCH(weight.device(),
           embedding_forward<T>(there.data<int32_t>(), weight.data<T>(), y.mutable_data<T>(), count, c));
  });
  record("embedding", {weight}, y, {there}, [count, vocab, c](BackwardStep& step) {
    const Tensor &tokens = step.saved(0), &dy = step.gradient();
    Destination dw = step.into(0);
    for_float(dy.dtype(), [&]<class T>(T) {
      LAUNCH(dy.device(), embedding_backward<T>(tokens.data<int32_t>(), dy.data<T>(), dw.data<T>(), count,
                                                vocab, c, dw.accumulate));
    });
  });
  return y;
}

namespace cpu {

void find_bad_token(const int32_t* tokens, int64_t count, int64_t lowest, int64_t vocab, int64_t* position) {
  const int32_t* end = tokens + count;
  const int32_t* bad =
      std::find_if(tokens, end, [=](int32_t token) { return token < lowest || token >= vocab; });
  *position = bad == end ? -1 : bad - tokens;
}

template <class T>
void embedding_forward(const int32_t* tokens, const T* w, T* y, int64_t count, int64_t c) {
  for_row_pieces(count, c, [=](int64_t row, int64_t begin, int64_t end) {
    std::copy(w + tokens[row] * c + begin, w + tokens[row] * c + end, y + row * c + begin);
  });
}

template <class T>
void embedding_backward(const int32_t* tokens, const T* dy, T* dw, int64_t count, int64_t vocab, int64_t c,
                        bool accumulate) {
  if (!accumulate) {
    parallel_for(vocab * c, kPieceSize,
                 [=](int64_t begin, int64_t end) { std::fill(dw + begin, dw + end, T(0)); });
  }
  // Each thread takes its own channels of all tokens, so that no two of them write to one row and equal
  // tokens add up in their order.
  constexpr int64_t cache_line = 64 / sizeof(T);
  const int64_t grain = ceil_div(ceil_div(c, omp_get_max_threads()), cache_line) * cache_line;
  parallel_for(c, count * c < kPieceSize ? c : grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < count; ++row) {
      const T* from = dy + row * c;
      write(dw + tokens[row] * c, begin, end, true, [=](int64_t i) { return from[i]; });
    }
  });
}

}  // namespace cpu
}  // namespace tapestry
