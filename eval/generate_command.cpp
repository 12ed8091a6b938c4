#include <cstdio>
#include <iostream>

#include "base/progress.h"
#include "base/run_options.h"
#include "base/signals.h"
#include "data/input_file.h"
#include "data/utf8.h"
#include "eval/commands.h"
#include "eval/decoding.h"
#include "train/model_source.h"
#include "train/run_device.h"
#include "train/state_file.h"

namespace tapestry {
namespace {

struct GenerateOptions {
  std::string checkpoint;
  std::string prompt = "\n";
  std::string prompt_file;
  int64_t length = 200;
  int64_t samples = 1;
  double temperature = 0.8;
  int64_t top_k = 0;
  double top_p = 1;
  std::string save_state;
  std::string load_state;
};

const OptionTable<GenerateOptions>& generate_options() {
  using G = GenerateOptions;
  static const OptionTable<G> table =
      OptionTable<G>("", "generate")
          .add("checkpoint", &G::checkpoint, join("the model: ", kAnyModel))
          .add("prompt", &G::prompt, "the text to go on from; after --load-state none if it is not given")
          .add("prompt-file", &G::prompt_file, "a file with it")
          .add("length", &G::length, "tokens to add", at_least(0))
          .add("samples", &G::samples,
               "texts to write side by side; more than one are shown when they are done", between(1, 1024))
          .add("temperature", &G::temperature,
               "below 1 sharpens, above 1 flattens; 0 takes the most likely token", between(0, 100))
          .add("top-k", &G::top_k, "draw from the k most likely tokens; 0: from all", at_least(0))
          .add("top-p", &G::top_p,
               "draw from the fewest most likely tokens that together reach this probability", between(0, 1))
          .add("save-state", &G::save_state,
               "a file for what the model remembers at the end, to go on from without reading the text again")
          .add("load-state", &G::load_state, "such a file, of the same checkpoint, to go on from");
  return table;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string prompt_of(const GenerateOptions& options, const Config& config) {
  if (!options.prompt_file.empty()) return InputFile(options.prompt_file).read_all();
  return options.load_state.empty() || config.find("prompt") ? options.prompt : "";
}

/// What the model has read and is to go on from.
ReadText text_of(const GenerateOptions& options, const LoadedModel& loaded, const std::string& prompt) {
  ReadText text = options.load_state.empty() ? ReadText{loaded.model->begin_decoding(), {}}
                                             : load_state(options.load_state, loaded.sha256, *loaded.model);
  const std::vector<int32_t> ids = loaded.tokenizer->encode(prompt);
  text.pending.insert(text.pending.end(), ids.begin(), ids.end());
  check(!text.pending.empty(), Exit::usage, "generate needs a prompt of at least one token");
  return text;
}

/// The model of a folder has no name that a state could belong to.
void check_states(const GenerateOptions& options, const LoadedModel& loaded) {
  const bool states = !options.save_state.empty() || !options.load_state.empty();
  check(!states || !loaded.sha256.empty(), Exit::usage,
        "a state belongs to a checkpoint: convert the folder '", options.checkpoint, "' to one first");
}

Continuations read(const GenerateOptions& options, const LoadedModel& loaded, ReadText text, int64_t seed) {
  Progress progress("read", static_cast<int64_t>(text.pending.size()), "tokens");
  const SamplingOptions sampling{options.temperature, options.top_k, options.top_p};
  return Continuations(*loaded.model, std::move(text.state), std::move(text.pending), options.samples,
                       loaded.tokenizer->vocab_size(), sampling, static_cast<uint64_t>(seed),
                       [&](int64_t done) {
                         progress.update(done);
                         throw_if_stop_requested();
                       });
}

/// Writes as it draws if there is one text, else when all are done.
void write(const GenerateOptions& options, const Tokenizer& tokenizer, const std::string& prompt,
           Continuations& texts) {
  const bool one = options.samples == 1;
  std::vector<Utf8Stream> streams(options.samples);
  std::vector<std::string> written(options.samples, prompt);
  if (one) print(prompt);
  for (int64_t i = 0; i < options.length && !stop_requested(); ++i) {
    if (!texts.has_room()) {
      if (one) print("\n");
      std::cerr << "tapestry generate: ended after " << i << " of " << options.length
                << " tokens, where the model's learned positions end (model.n_ctx)" << std::endl;
      break;
    }
    const std::vector<int32_t> tokens = texts.draw();
    for (int64_t s = 0; s < options.samples; ++s) {
      const std::string more = streams[s].push(tokenizer.bytes_of(tokens[s]));
      one ? print(more) : static_cast<void>(written[s] += more);
    }
  }
  for (int64_t s = 0; s < options.samples; ++s)
    print(one ? streams[s].finish() + "\n"
              : join("--- sample ", s + 1, "\n", written[s], streams[s].finish(), "\n"));
}

Exit generate(const Config& config) {
  const auto options = config.get(generate_options());
  check(!options.checkpoint.empty(), Exit::usage, "generate needs --checkpoint");
  check(options.save_state.empty() || options.samples == 1, Exit::usage,
        "--save-state keeps one text: leave out --samples");
  const LoadedModel loaded = load_any_model(options.checkpoint, run_device(config.get(run_options())));
  check_states(options, loaded);
  const std::string prompt = prompt_of(options, config);
  Continuations texts =
      read(options, loaded, text_of(options, loaded, prompt), config.get(run_options()).seed);
  write(options, *loaded.tokenizer, prompt, texts);
  if (!options.save_state.empty())
    save_state(options.save_state, loaded.sha256, {texts.state(0).clone(), {texts.last(0)}});
  return stop_requested() ? Exit::stopped : Exit::done;
}

}  // namespace

Command generate_command() {
  return {"generate", "write text after a prompt", {&generate_options(), &run_options()}, generate};
}

}  // namespace tapestry
