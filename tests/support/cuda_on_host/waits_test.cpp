#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/pool.h"
#include "autograd/tape.h"
#include "layers/attention/attention.h"
#include "layers/language_model.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/support/in_bf16.h"

/// Where the host would wait for a device.
namespace tapestry::test {
namespace {

class CudaWaits : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { pool_set_poison(false); }  // guards are read when memory comes back
  void TearDown() override { pool_set_poison(true); }
};

TEST_P(CudaWaits, AStepWaitsOnlyToReadWhatItFound) {
  const ModelOptions options{.attention = {GetParam()},
                             .n_layer = 1,
                             .n_head = 2,
                             .n_embd = 8,
                             .n_ctx = 24,
                             .vocab_size = 23,
                             .dropout = 0.1};
  Config config;
  for (const char* key :
       {"bsbr.chunk", "linear.chunk", "delta_net.chunk", "gau.chunk", "sliding_window.window"})
    config.set(key, "8", "test");
  const LanguageModel model(options, config, {.device = Device::cuda()});
  AdamW optimizer(model.parameters(), {});
  const std::vector<int32_t> tokens(20, 3);
  const InPrecision precision(Precision::bf16, Device::cuda());
  for (int step = 0; step < 2; ++step) {
    const int before = cuda_on_host_waits;
    const Tensor inputs = Tensor::from(tokens, {1, 20});
    Tensor loss;
    {
      Tape tape(7);
      loss = model.loss(inputs, inputs);
      tape.backward(loss);
    }
    const Readback nll(loss);
    const Clipping clipping(optimizer.parameters(), 1, {loss});
    optimizer.step(1e-3, clipping.scale());
    optimizer.zero_grad();
    EXPECT_EQ(cuda_on_host_waits, before);
    EXPECT_TRUE(std::isfinite(nll.values().front()) && clipping.read().nonfinite.empty());
    EXPECT_GT(cuda_on_host_waits, before);
  }
}

std::vector<std::string> attention_names() {
  std::vector<std::string> names;
  for (const AttentionKind& kind : attention_kinds()) names.push_back(kind.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Attention, CudaWaits, testing::ValuesIn(attention_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tapestry::test
