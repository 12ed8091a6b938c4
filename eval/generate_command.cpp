#include <cstdio>

#include "autograd/random.h"
#include "base/run_options.h"
#include "base/signals.h"
#include "data/data_options.h"
#include "data/input_file.h"
#include "data/utf8.h"
#include "eval/commands.h"
#include "eval/sampling.h"
#include "train/checkpoint.h"

namespace tapestry {
namespace {

struct GenerateOptions {
  std::string checkpoint;
  std::string prompt = "\n";
  std::string prompt_file;
  int64_t length = 200;
  double temperature = 0.8;
  int64_t top_k = 0;
  double top_p = 1;
};

const OptionTable<GenerateOptions>& generate_options() {
  using G = GenerateOptions;
  static const OptionTable<G> table =
      OptionTable<G>("", "generate")
          .add("checkpoint", &G::checkpoint, "the model")
          .add("prompt", &G::prompt, "the text to go on from")
          .add("prompt-file", &G::prompt_file, "a file with it")
          .add("length", &G::length, "tokens to add", at_least(0))
          .add("temperature", &G::temperature,
               "below 1 sharpens, above 1 flattens; 0 takes the most likely token", between(0, 100))
          .add("top-k", &G::top_k, "draw from the k most likely tokens; 0: from all", at_least(0))
          .add("top-p", &G::top_p,
               "draw from the fewest most likely tokens that together reach this probability", between(0, 1));
  return table;
}

/// Draws a token after `context` and adds it.
int32_t next_token(const LanguageModel& model, std::vector<int32_t>& context, int64_t max_context,
                   const SamplingOptions& sampling, double uniform) {
  const int64_t length = std::min<int64_t>(context.size(), max_context);
  const std::vector<int32_t> window(context.end() - length, context.end());
  const auto logits = model.next_logits(Tensor::from(window, {1, length})).values<float>();
  const auto token = static_cast<int32_t>(sample_token(logits, sampling, uniform));
  context.push_back(token);
  return token;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

Exit generate(const Config& config) {
  const auto options = config.get(generate_options());
  const auto run = config.get(run_options());
  check(!options.checkpoint.empty(), Exit::usage, "generate needs --checkpoint");
  const LoadedModel loaded = load_model(options.checkpoint);
  const std::string prompt =
      options.prompt_file.empty() ? options.prompt : InputFile(options.prompt_file).read_all();
  std::vector<int32_t> context = loaded.tokenizer->encode(prompt);
  check(!context.empty(), Exit::usage, "generate needs a prompt of at least one token");
  // The model never saw longer contexts than it was trained with.
  const int64_t max_context = loaded.config.get(data_options()).seq_len;
  const SamplingOptions sampling{options.temperature, options.top_k, options.top_p};
  print(prompt);
  Utf8Stream text;
  for (int64_t i = 0; i < options.length && !stop_requested(); ++i) {
    const double uniform = random_uniform(combine_keys(run.seed, 0), i);
    print(text.push(
        loaded.tokenizer->bytes_of(next_token(*loaded.model, context, max_context, sampling, uniform))));
  }
  print(text.finish() + "\n");
  return stop_requested() ? Exit::stopped : Exit::done;
}

}  // namespace

Command generate_command() {
  return {"generate", "write text after a prompt", {&generate_options(), &run_options()}, generate};
}

}  // namespace tapestry
