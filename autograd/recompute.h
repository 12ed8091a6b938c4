#pragma once

#include "autograd/tape.h"

namespace tapestry {

/// block(x) that keeps only x: backward runs the block again, with the same random numbers, on a tape of its
/// own (activation checkpointing, Chen et al. 2016). The block must outlive the tape; its parameters get
/// their gradients as usual. A block that has `replay(tape, x, dy)` runs itself again by that, forwards and
/// backwards from dy on the tape, and need not hold all of itself at one time.
template <class Block>
Tensor recompute(const Block& block, const Tensor& x) {
  Tape* tape = Tape::current();
  if (tape == nullptr) return block(x);
  const uint64_t key = tape->random_key(), stream = tape->next_stream();
  Tensor y;
  {
    Tape::Pause pause;
    y = block(x);
  }
  record_always("recompute", {x}, y, {x}, [block = &block, key, stream](BackwardStep& step) {
    Tape inner(key, stream);
    const Tensor input = inner.watch(step.saved(0));
    if constexpr (requires { block->replay(inner, input, step.take_gradient()); }) {
      block->replay(inner, input, step.take_gradient());
    } else {
      inner.backward((*block)(input), step.take_gradient());
    }
    if (step.needs(0)) step.add(0, inner.gradient(input));
  });
  return y;
}

}  // namespace tapestry
