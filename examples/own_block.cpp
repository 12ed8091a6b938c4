// A block of one's own, a training loop of one's own: a byte model with gated feed-forward parts learns a
// text.

#include <cstdio>

#include "autograd/ops/binary.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/unary.h"
#include "autograd/tape.h"
#include "layers/attention/bsbr.h"
#include "layers/embedding.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/schedule.h"

using namespace tapestry;

/// A layer is a struct of named children; naming a child registers its parameters.
struct GatedBlock : Module {
  LayerNorm norm_1{*this, "norm_1", 64}, norm_2{*this, "norm_2", 64};
  BsbrTokens attention{*this, {.n_embd = 64, .n_head = 2, .rotary = true}, {.chunk = 16}};
  Linear up{*this, "up", 64, 128}, gate{*this, "gate", 64, 128}, down{*this, "down", 128, 64};

  explicit GatedBlock(Module& parent) : Module(parent, "block") {}
  Tensor operator()(const Tensor& x) const {  // [B, T, C] -> [B, T, C]
    const Tensor y = add(x, attention(norm_1(x)));
    const Tensor z = norm_2(y);
    return add(y, down(mul(up(z), silu(gate(z)))));
  }
};

struct ByteModel : Module {
  Embedding bytes{*this, "bytes", 256, 64};
  GatedBlock block{*this};
  LayerNorm norm{*this, "norm", 64};

  Tensor loss(const Tensor& tokens, const Tensor& targets) const {
    return linear_cross_entropy(norm(block(bytes(tokens))), bytes.weight(), targets);
  }
};

int main() {
  std::vector<int32_t> text;
  for (int i = 0; i < 2049; ++i) text.push_back("the quick brown fox jumps over the lazy dog. "[i % 45]);
  const Tensor tokens = Tensor::from(std::vector<int32_t>(text.begin(), text.end() - 1), {8, 256});
  const Tensor targets = Tensor::from(std::vector<int32_t>(text.begin() + 1, text.end()), {8, 256});

  ByteModel model;
  AdamW adamw(model.parameters(), {.weight_decay = 0.1});
  double last = 0;
  for (int step = 0; step < 60; ++step) {
    Tape tape;
    const Tensor loss = model.loss(tokens, targets);
    tape.backward(loss);
    adamw.step(3e-3, clip_gradient_norm(model.parameters(), 1.0).scale);
    adamw.zero_grad();
    last = loss.item();
    if (step % 10 == 0) std::printf("step %2d  loss %.3f\n", step, last);
  }
  std::printf("final loss %.3f\n", last);
  return last < 1.0 ? 0 : 1;
}
