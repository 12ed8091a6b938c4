#include "eval/torch_peer.h"

#include <omp.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "autograd/precision.h"
#include "base/error.h"

namespace tapestry {
namespace {

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// The standard output of a command of sh; nothing if it fails.
std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  check(pipe != nullptr, Exit::memory, "no process can be started: ", command);
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  return pclose(pipe) == 0 ? output : "";
}

nlohmann::json work_of(const ModelOptions& model, const StepShape& shape, const BenchPlan& plan) {
  return {{"mode", shape.training ? "train" : "forward"},
          {"device", plan.device.is_cuda() ? "cuda" : "cpu"},
          {"precision", name_of(product_precision())},
          {"threads", omp_get_max_threads()},
          {"n_layer", model.n_layer},
          {"n_head", model.n_head},
          {"n_embd", model.n_embd},
          {"n_inner", model.inner()},
          {"vocab_size", model.vocab_size},
          {"seq_len", shape.seq_len},
          {"batch_size", shape.batch_size},
          {"warmup", plan.warmup},
          {"repeats", plan.repeats},
          {"learning_rate", plan.optim.learning_rate}};
}

}  // namespace

TorchFigures bench_torch(const std::string& python, const ModelOptions& model, const StepShape& shape,
                         const BenchPlan& plan) {
  const std::string script = TAPESTRY_PEERS "/torch_step.py";
  // How our threads wait is not how PyTorch's should.
  const std::string output = output_of("echo " + quoted(work_of(model, shape, plan).dump()) +
                                       " | env -u OMP_WAIT_POLICY " + quoted(python) + " " + quoted(script));
  const auto figures = nlohmann::json::parse(output, nullptr, false);
  check(figures.is_object(), Exit::usage, "--peers ", python, ": ", script,
        " did not run there; name a Python that has torch");
  return {figures.at("torch"), figures.at("seconds"), figures.at("fastest")};
}

}  // namespace tapestry
