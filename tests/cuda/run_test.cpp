#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <numeric>

#include "autograd/tape.h"
#include "base/program.h"
#include "eval/commands.h"
#include "eval/decoding.h"
#include "layers/attention/attention.h"
#include "layers/language_model.h"
#include "tests/support/byte_token_file.h"
#include "tests/support/in_bf16.h"
#include "tests/support/needs_cuda.h"
#include "tests/support/op_case.h"
#include "tests/support/same_run.h"
#include "train/checkpoint.h"
#include "train/commands.h"

namespace tapestry::test {
namespace {

class CudaModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (cuda_devices() == 0)
      GTEST_SKIP() << "gpu: " << (built_with_cuda() ? "no device" : "built without CUDA");
  }
};

struct Step {
  std::vector<std::vector<float>> start;  // the weights
  double loss;
  std::vector<std::vector<double>> gradients;
};

/// A small model with this attention, whose weights depend on the seed only.
std::unique_ptr<LanguageModel> small_model(Device device, const std::string& attention,
                                           const std::string& topk = "2") {
  const ModelOptions options{
      .attention = {attention}, .n_layer = 2, .n_head = 2, .n_embd = 8, .n_ctx = 40, .vocab_size = 23};
  Config config;
  for (const char* key :
       {"bsbr.chunk", "linear.chunk", "delta_net.chunk", "gau.chunk", "sliding_window.window"})
    config.set(key, "8", "test");
  config.set("bsbr.topk", topk, "test");
  return std::make_unique<LanguageModel>(options, config, ModuleContext{.device = device, .seed = 3});
}

Step step_on(Device device, const std::string& attention, const std::string& topk = "2") {
  const auto owner = small_model(device, attention, topk);
  const LanguageModel& model = *owner;
  std::vector<int32_t> tokens(2 * 37);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i % 23);
  const Tensor inputs = Tensor::from(tokens, {2, 37});
  Tape tape;
  const Tensor loss = model.loss(inputs, inputs);
  tape.backward(loss);
  Step step{{}, loss.item(), {}};
  for (const NamedParameter& named : model.parameters()) {
    step.start.push_back(named.parameter.value().values<float>());
    step.gradients.push_back(named.parameter.has_gradient() ? named.parameter.gradient().values<double>()
                                                            : std::vector<double>());
  }
  return step;
}

TEST_P(CudaModel, HasTheLossAndGradientsOfTheCpu) {
  const Step on_cpu = step_on(Device::cpu(), GetParam()), on_cuda = step_on(Device::cuda(), GetParam());
  EXPECT_EQ(on_cuda.start, on_cpu.start);
  EXPECT_NEAR(on_cuda.loss, on_cpu.loss, 1e-4 * on_cpu.loss);
  ASSERT_EQ(on_cuda.gradients.size(), on_cpu.gradients.size());
  for (size_t i = 0; i < on_cpu.gradients.size(); ++i)
    EXPECT_LE(difference(on_cuda.gradients[i], on_cpu.gradients[i]), 1e-4) << i;
}

double norm(const std::vector<double>& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

TEST_P(CudaModel, InLowerPrecisionIsNearFloat32) {
  // Every token retrieves every chunk: another choice would be another function.
  const Step exact = step_on(Device::cuda(), GetParam(), "all");
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const InPrecision in(precision, Device::cuda());
    const Step rounded = step_on(Device::cuda(), GetParam(), "all");
    EXPECT_NEAR(rounded.loss, exact.loss, 1e-3 * exact.loss);
    EXPECT_NE(rounded.gradients, exact.gradients) << "nothing was rounded";
    for (size_t i = 0; i < exact.gradients.size(); ++i) {
      std::vector<double> off = rounded.gradients[i];
      for (size_t j = 0; j < off.size(); ++j) off[j] -= exact.gradients[i][j];
      EXPECT_LE(norm(off), 0.03 * norm(exact.gradients[i]) + 1e-6) << name_of(precision) << " " << i;
    }
    const Step again = step_on(Device::cuda(), GetParam(), "all");
    EXPECT_EQ(again.gradients, rounded.gradients);
  }
}

/// Logits after pieces of several lengths and single tokens.
std::vector<std::vector<double>> decoded_on(Device device, const std::string& attention) {
  const auto model = small_model(device, attention);
  DecodingState state = model->begin_decoding();
  std::vector<std::vector<double>> logits;
  int32_t token = 0;
  for (const size_t length : {7, 1, 1, 12, 1, 9, 1}) {
    std::vector<int32_t> piece(length);
    for (int32_t& next : piece) next = token = (token * 5 + 3) % 23;
    logits.push_back(read_tokens(*model, piece, state).values<double>());
  }
  return logits;
}

TEST_P(CudaModel, DecodesAsTheCpuDoes) {
  const auto on_cpu = decoded_on(Device::cpu(), GetParam()), on_cuda = decoded_on(Device::cuda(), GetParam());
  for (size_t i = 0; i < on_cpu.size(); ++i) EXPECT_LE(difference(on_cuda[i], on_cpu[i]), 1e-4) << i;
}

std::vector<std::string> attention_names() {
  std::vector<std::string> names;
  for (const AttentionKind& kind : attention_kinds()) names.push_back(kind.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Attention, CudaModel, testing::ValuesIn(attention_names()),
                         [](const auto& info) { return info.param; });

/// The program's verbs, run in this process.
class CudaRun : public NeedsCuda {
 protected:
  void SetUp() override {
    NeedsCuda::SetUp();
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat on mat number " + std::to_string(i * i) + ". ";
    write_byte_token_file(folder_ / "tokens.h5", text);
  }

  int run(const std::vector<std::string>& words) {
    return dispatch(words, {train_command(), eval_command(), generate_command(), bench_command()});
  }
  using Options = std::map<std::string, std::string>;
  int train(const std::string& out, const std::string& device, int steps, bool resume = false,
            const Options& changed = {}) {
    Options options = {{"model.attention", "bsbr,standard"},
                       {"model.n_layer", "2"},
                       {"model.n_head", "2"},
                       {"model.n_embd", "8"},
                       {"model.dropout", "0.1"},
                       {"bsbr.chunk", "4"},
                       {"data.seq_len", "12"},
                       {"data.tokens", folder_ / "tokens.h5"},
                       {"train.max_steps", std::to_string(steps)},
                       {"train.batch_size", "2"},
                       {"train.grad_accum", "1"},
                       {"train.log_every", "1"},
                       {"train.eval_every", "2"},
                       {"train.eval_tokens", "24"},
                       {"train.checkpoint_every", "0"},
                       {"optim.learning_rate", "1e-3"},
                       {"optim.schedule", "constant"},
                       {"train.out", folder_ / out},
                       {"run.device", device}};
    for (const auto& [key, value] : changed) options[key] = value;
    std::vector<std::string> words = {"train"};
    for (const auto& [key, value] : options) words.insert(words.end(), {"--" + key, value});
    if (resume) words.push_back("--resume");
    return run(words);
  }
  std::vector<double> losses(const std::string& out) {
    std::vector<double> losses;
    for (const LogRow& row : Checkpoint(folder_ / (out + "/last.h5")).state().history) {
      if (!std::isnan(row.train_loss)) losses.push_back(row.train_loss);
      if (!std::isnan(row.valid_loss)) losses.push_back(row.valid_loss);
    }
    return losses;
  }
  std::map<std::string, std::vector<float>> weights(const std::string& out) {
    return floats(Hdf5File::open(folder_ / (out + "/last.h5")), "model");
  }
  void expect_like(const std::string& out, const std::string& expected) {
    const std::vector<double> a = losses(out), b = losses(expected);
    ASSERT_EQ(a.size(), b.size());
    EXPECT_GT(b.size(), 4u);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-3) << i;
  }

  TemporaryFolder folder_;
};

TEST_F(CudaRun, TrainsAsTheCpuDoes) {
  ASSERT_EQ(train("cpu", "cpu", 4), 0);
  ASSERT_EQ(train("cuda", "cuda", 4), 0);
  expect_like("cuda", "cpu");
}

TEST_F(CudaRun, ResumesOnTheOtherDevice) {
  ASSERT_EQ(train("whole", "cpu", 4), 0);
  ASSERT_EQ(train("to_cuda", "cpu", 2), 0);
  ASSERT_EQ(train("to_cuda", "cuda", 4, true), 0);
  expect_like("to_cuda", "whole");
  ASSERT_EQ(train("to_cpu", "cuda", 2), 0);
  ASSERT_EQ(train("to_cpu", "cpu", 4, true), 0);
  expect_like("to_cpu", "whole");
}

TEST_F(CudaRun, SplitAndResumedIsTheUndisturbedRunBitForBit) {
  ASSERT_EQ(train("whole", "cuda", 4), 0);
  ASSERT_EQ(train("split", "cuda", 2), 0);
  ASSERT_EQ(train("split", "cuda", 4, true), 0);
  EXPECT_EQ(weights("split"), weights("whole"));
}

TEST_F(CudaRun, TrainsInLowerPrecision) {
  ASSERT_EQ(train("cpu", "cpu", 3), 0);
  for (const char* precision : {"tf32", "bf16"}) {
    const InPrecision back(Precision::float32);  // the run sets its own
    ASSERT_EQ(train(precision, "cuda", 3, false, {{"run.precision", precision}}), 0);
    const std::vector<double> found = losses(precision), exact = losses("cpu");
    ASSERT_EQ(found.size(), exact.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], exact[i], 2e-2) << precision << i;
    EXPECT_NE(found, exact);
  }
}

TEST_F(CudaRun, AccumulatesAndRecomputesAsTheCpuDoes) {
  const Options options = {{"train.grad_accum", "2"}, {"train.recompute", "block"}};
  ASSERT_EQ(train("cpu", "cpu", 3, false, options), 0);
  ASSERT_EQ(train("cuda", "cuda", 3, false, options), 0);
  expect_like("cuda", "cpu");
}

TEST_F(CudaRun, TF32IsForCuda) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(train("run", "cpu", 1, false, {{"run.precision", "tf32"}}), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("run.device = cuda"));
}

/// The device is a step ahead of what the host knows; what it did after the bad step must not show.
TEST_F(CudaRun, ANumberThatIsNotFiniteStopsInTheStateBeforeItsStep) {
  const Options blow_up = {{"optim.learning_rate", "1e30"},
                           {"optim.grad_clip", "0"},
                           {"optim.warmup_steps", "0"},
                           {"train.eval_every", "0"},
                           {"train.log_every", "100"}};
  ASSERT_EQ(train("one_step", "cuda", 1, false, blow_up), 0);
  testing::internal::CaptureStderr();
  EXPECT_EQ(train("run", "cuda", 9, false, blow_up), 5);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::AllOf(testing::HasSubstr("step 2: the loss is"), testing::HasSubstr("gradient of")));
  EXPECT_EQ(Checkpoint(folder_ / "run/last.h5").state().step, 1);
  EXPECT_EQ(weights("run"), weights("one_step"));
  EXPECT_EQ(floats(Hdf5File::open(folder_ / "run/last.h5"), "optimizer"),
            floats(Hdf5File::open(folder_ / "one_step/last.h5"), "optimizer"));
}

TEST_F(CudaRun, CheckpointsKeepTheBitsAndEvaluateAlike) {
  ASSERT_EQ(train("run", "cuda", 2), 0);
  const std::string path = folder_ / "run/last.h5";
  const LoadedModel on_cpu = load_model(path), on_cuda = load_model(path, Device::cuda());
  const auto a = on_cpu.model->parameters(), b = on_cuda.model->parameters();
  for (size_t i = 0; i < a.size(); ++i)
    ASSERT_EQ(b[i].parameter.value().values<float>(), a[i].parameter.value().values<float>()) << a[i].name;
  for (const char* device : {"cpu", "cuda"}) {
    ASSERT_EQ(run({"eval", "--checkpoint", path, "--tokens", folder_ / "tokens.h5", "--max-tokens", "24",
                   "--json", folder_ / (std::string(device) + ".json"), "--run.device", device}),
              0);
  }
  const auto perplexity = [&](const std::string& file) {
    const std::string text = read_text(folder_ / file);
    const size_t at = text.find(':', text.find("\"perplexity\""));
    return std::stod(text.substr(at + 1));
  };
  EXPECT_NEAR(perplexity("cuda.json"), perplexity("cpu.json"), 1e-3 * perplexity("cpu.json"));
}

TEST_F(CudaRun, GeneratesTheSameText) {
  ASSERT_EQ(train("run", "cuda", 2), 0);
  const auto generated = [&](const std::string& device) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(run({"generate", "--checkpoint", folder_ / "run/last.h5", "--prompt", "the cat", "--length",
                   "3", "--temperature", "0", "--run.device", device}),
              0);
    return testing::internal::GetCapturedStdout();
  };
  EXPECT_EQ(generated("cuda"), generated("cpu"));
}

TEST_F(CudaRun, BenchMeasuresTheDevice) {
  const std::string json = folder_ / "bench.json";
  ASSERT_EQ(run({"bench", "--model.n_layer", "1", "--model.n_head", "2", "--model.n_embd", "8",
                 "--model.vocab_size", "20", "--seq-len", "8", "--repeats", "1", "--json", json,
                 "--run.device", "cuda"}),
            0);
  EXPECT_THAT(read_text(json), testing::HasSubstr("tokens_per_second"));
}

}  // namespace
}  // namespace tapestry::test
