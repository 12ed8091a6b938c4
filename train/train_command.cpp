#include <cstdio>
#include <optional>

#include "base/program.h"
#include "base/signals.h"
#include "base/units.h"
#include "data/loader.h"
#include "train/commands.h"
#include "train/mean_nll.h"
#include "train/memory_forecast.h"
#include "train/model_config.h"
#include "train/resume_point.h"
#include "train/run_setup.h"
#include "train/trainer.h"

namespace tapestry {
namespace {

RunFolder::Mode folder_mode(const TrainCommandOptions& options) {
  check(!(options.resume && options.overwrite), Exit::usage, "--resume and --overwrite exclude each other");
  if (options.resume) return RunFolder::Mode::resume;
  return options.overwrite ? RunFolder::Mode::overwrite : RunFolder::Mode::fresh;
}

TokenFile open_tokens(const Config& config) {
  const std::string path = config.get(data_options()).tokens;
  check(!path.empty(), Exit::usage,
        "data.tokens is not given: name a token file that `tapestry prepare` made");
  return TokenFile(path);
}

Loader make_loader(const RunSetup& setup, const TokenFile& tokens) {
  return Loader(tokens.tokens(Split::train), {.seq_len = setup.data.seq_len,
                                              .batch_size = setup.train.batch_size,
                                              .grad_accum = setup.train.grad_accum,
                                              .seed = setup.run.seed});
}

void print_sizes(const RunSetup& setup, const LanguageModel& model, const TokenFile& tokens) {
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  const int64_t moments = setup.optim.optimizer == "adamw" ? 2 : 1;
  const MemoryForecast memory = forecast_memory(model, setup.train.batch_size, setup.data.seq_len, moments,
                                                setup.train.recompute == "block");
  std::printf("model   %s parameters: %lld layers, width %lld, %s\n",
              format_count(model.parameter_count()).c_str(), number(setup.model.n_layer),
              number(setup.model.n_embd), format_value(setup.model.attention).c_str());
  std::printf("data    %s tokens to train on, %s to validate on, vocabulary %lld\n",
              format_count(tokens.tokens(Split::train)->size()).c_str(),
              format_count(tokens.tokens(Split::valid)->size()).c_str(), number(tokens.vocab_size()));
  std::printf("step    %lld tokens: batch_size %lld x grad_accum %lld x seq_len %lld\n",
              number(setup.train.batch_size * setup.train.grad_accum * setup.data.seq_len),
              number(setup.train.batch_size), number(setup.train.grad_accum), number(setup.data.seq_len));
  std::printf("memory  about %s: parameters %s, gradients %s, optimizer %s, activations %s\n",
              format_bytes(memory.total()).c_str(), format_bytes(memory.parameters).c_str(),
              format_bytes(memory.gradients).c_str(), format_bytes(memory.optimizer).c_str(),
              format_bytes(memory.activations).c_str());
  std::fflush(stdout);
}

/// Mean NLL on the first tokens of the validation split; NaN without one, or when a signal cuts it short.
double validation_loss(const RunSetup& setup, const LanguageModel& model, const TokenSource& valid) {
  int64_t count = valid.size();
  if (setup.train.eval_tokens > 0) count = std::min(count, setup.train.eval_tokens + 1);
  if (count < 2) return LogRow::unknown;
  const NllSum sum =
      sum_nll(model, valid, count, {.seq_len = setup.data.seq_len, .batch_size = setup.train.batch_size},
              [](const NllSum&) { return !stop_requested(); });
  return sum.tokens == count - 1 ? sum.mean() : LogRow::unknown;
}

Exit dry_run(const Config& given) {
  const TokenFile tokens = open_tokens(given);
  const RunSetup setup = make_run_setup(given, tokens);
  make_loader(setup, tokens);
  print_sizes(setup, LanguageModel(setup.model, setup.config), tokens);
  return Exit::done;
}

/// A new run's start: fresh weights, or those of train.init.
TrainingState begin(const RunSetup& setup, const LanguageModel& model, const TokenFile& tokens) {
  if (const std::string& path = setup.train.init; !path.empty()) {
    const Checkpoint start(path);
    tokens.check_tokenizer(*start.tokenizer(), path);
    start.load_parameters(model);
  }
  TrainingState state;
  state.tokens_sha256 = tokens.sha256();
  return state;
}

/// Where the run of a checkpoint stood, with its weights and optimizer.
TrainingState resume(const Checkpoint& last, const LanguageModel& model, Optimizer& optimizer,
                     const TokenFile& tokens) {
  TrainingState state = last.state();
  check(state.tokens_sha256 == tokens.sha256(), Exit::input, "the run of ", last.path(),
        " began with other tokens than those of ", tokens.path(), ": SHA-256 ", state.tokens_sha256, ", not ",
        tokens.sha256(), "; name the same file, or start a new run with train.init");
  last.load_parameters(model);
  last.load_optimizer(optimizer);
  return state;
}

Exit train(const Config& given) {
  const auto command = given.get(train_command_options());
  if (command.dry_run) return dry_run(given);
  RunFolder folder(given.get(train_options()).out, folder_mode(command));
  std::optional<Checkpoint> last;
  if (command.resume) last.emplace(open_resume_point(folder));
  const Config config = last ? resumed_config(given, *last) : given;
  const TokenFile tokens = open_tokens(config);
  const RunSetup setup = make_run_setup(config, tokens);
  const Loader loader = make_loader(setup, tokens);
  LanguageModel model(setup.model, setup.config, {.seed = static_cast<uint64_t>(setup.run.seed)});
  const auto optimizer = make_optimizer(setup.optim, model.parameters());
  const TrainingState state = last ? resume(*last, model, *optimizer, tokens) : begin(setup, model, tokens);
  last.reset();  // closes the file, which the run will replace
  print_sizes(setup, model, tokens);
  const auto steps = static_cast<long long>(state.step);
  if (command.resume) std::printf("resuming at step %lld, epoch %.3f\n", steps, loader.epoch(state.step));

  const std::string config_text = format_config(setup.config, run_sections());
  write_file_atomically(folder.config().string(), config_text);
  const auto tokenizer = tokens.tokenizer();
  const auto validate = [&] { return validation_loss(setup, model, *tokens.tokens(Split::valid)); };
  const auto save = [&](const std::string& path, const TrainingState& now) {
    save_checkpoint(path, {model, *tokenizer, config_text, optimizer.get(), now});
  };
  const Schedule schedule = make_schedule(setup.optim, setup.train.max_steps);
  Trainer trainer({model, *optimizer, schedule, loader, folder, validate, save}, setup.train,
                  setup.optim.grad_clip, setup.run.seed, state);
  const Exit exit = trainer.run();
  const auto reached = static_cast<long long>(trainer.state().step);
  if (exit == Exit::stopped) std::printf("stopped by a signal at step %lld; go on with --resume\n", reached);
  return exit;
}

}  // namespace

Command train_command() {
  std::vector<const OptionSection*> sections = {&train_command_options()};
  for (const OptionSection* section : run_sections()) sections.push_back(section);
  return {"train", "train or fine-tune a model", sections, train};
}

}  // namespace tapestry
