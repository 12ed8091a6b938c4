#include <cstdio>
#include <optional>

#include "autograd/precision.h"
#include "base/program.h"
#include "base/resources.h"
#include "base/signals.h"
#include "base/units.h"
#include "optim/parameter_groups.h"
#include "train/commands.h"
#include "train/distillation.h"
#include "train/init_config.h"
#include "train/memory_forecast.h"
#include "train/model_config.h"
#include "train/resume_point.h"
#include "train/run_device.h"
#include "train/run_setup.h"
#include "train/trainer.h"
#include "train/training_data.h"

namespace tapestry {
namespace {

RunFolder::Mode folder_mode(const TrainCommandOptions& options) {
  check(!(options.resume && options.overwrite), Exit::usage, "--resume and --overwrite exclude each other");
  if (options.resume) return RunFolder::Mode::resume;
  return options.overwrite ? RunFolder::Mode::overwrite : RunFolder::Mode::fresh;
}

std::unique_ptr<BatchSource> make_batches(const RunSetup& setup, const TrainingData& data) {
  return data.batches({.seq_len = setup.data.seq_len,
                       .batch_size = setup.train.batch_size,
                       .grad_accum = setup.train.grad_accum,
                       .seed = setup.run.seed});
}

int64_t moments_of(const OptimOptions& options) {
  if (options.optimizer == "adamw") return 2;
  return options.momentum > 0 ? 1 : 0;
}

void print_sizes(const RunSetup& setup, const LanguageModel& model, const TrainingData& data,
                 int64_t teacher_parameters) {
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  const MemoryForecast memory = forecast_memory(model, {.batch_size = setup.train.batch_size,
                                                        .seq_len = setup.data.seq_len,
                                                        .moments = moments_of(setup.optim),
                                                        .teacher_parameters = teacher_parameters,
                                                        .recompute = setup.train.recompute == "block"});
  std::printf("model   %s parameters: %lld layers, width %lld, %s\n",
              format_count(model.parameter_count()).c_str(), number(setup.model.n_layer),
              number(setup.model.n_embd), format_value(setup.model.attention).c_str());
  if (!setup.train.init.empty()) std::printf("from    %s\n", setup.train.init.c_str());
  if (!setup.train.teacher.empty())
    std::printf("teacher %s, %s parameters, for %g of the loss\n", setup.train.teacher.c_str(),
                format_count(teacher_parameters).c_str(), setup.train.teacher_weight);
  std::printf("data    %s\n", data.summary().c_str());
  std::printf("step    %lld tokens: batch_size %lld x grad_accum %lld x seq_len %lld\n",
              number(setup.train.batch_size * setup.train.grad_accum * setup.data.seq_len),
              number(setup.train.batch_size), number(setup.train.grad_accum), number(setup.data.seq_len));
  std::printf("memory  about %s: parameters %s, gradients %s, optimizer %s, activations %s, program %s\n",
              format_bytes(memory.total()).c_str(), format_bytes(memory.parameters).c_str(),
              format_bytes(memory.gradients).c_str(), format_bytes(memory.optimizer).c_str(),
              format_bytes(memory.activations).c_str(), format_bytes(memory.program).c_str());
  std::fflush(stdout);
  const int64_t available = available_memory_bytes();
  if (setup.run.device == "cpu" && memory.total() > available) {
    std::fprintf(stderr,
                 "tapestry train: that is more than the %s available; lower data.seq_len or "
                 "train.batch_size, or use train.recompute = block\n",
                 format_bytes(available).c_str());
  }
}

/// What a run begins with: nothing, the model of train.init, or the checkpoint that it goes on from.
struct Start {
  Config config;
  std::unique_ptr<ModelSource> init;
  std::optional<Checkpoint> last;
  std::string gpt2_config;
};

Start start_anew(const Config& given) {
  const std::string path = given.get(train_options()).init;
  if (path.empty()) return {given, nullptr, {}, ""};
  Start start{{}, open_model_source(path), {}, ""};
  std::vector<std::string> notes;
  start.config = init_config(given, *start.init, notes);
  start.gpt2_config = start.init->gpt2_config();
  for (const std::string& note : notes) std::printf("init    %s: %s\n", path.c_str(), note.c_str());
  return start;
}

Start go_on(const Config& given, const RunFolder& folder) {
  Start start{{}, nullptr, open_resume_point(folder), ""};
  start.config = resumed_config(given, *start.last);
  start.gpt2_config = start.last->gpt2_config();
  return start;
}

Exit dry_run(const Config& given) {
  const Start start = start_anew(given);
  const auto data = open_training_data(start.config);
  const RunSetup setup = make_run_setup(start.config, *data);
  make_batches(setup, *data);
  const LanguageModel model(setup.model, setup.config);
  rate_factors(trainable_parameters(model.parameters(), setup.optim.freeze), setup.optim.rates);
  const std::string& teacher = setup.train.teacher;
  print_sizes(setup, model, *data, teacher.empty() ? 0 : open_model_source(teacher)->parameter_count());
  return Exit::done;
}

/// A new run's start: fresh weights, or those of train.init.
TrainingState begin(const ModelSource* init, const LanguageModel& model, const TrainingData& data,
                    const Teacher* teacher) {
  if (init != nullptr) {
    check_tokenizer(*data.tokenizer(), data.name(), init->tokenizer().get(), init->path());
    read_parameters(*init, model);
  }
  TrainingState state;
  state.tokens_sha256 = data.sha256();
  if (teacher != nullptr) state.teacher_sha256 = teacher->sha256();
  return state;
}

/// Where the run of a checkpoint stood, with its weights and optimizer.
TrainingState resume(const Checkpoint& last, const LanguageModel& model, Optimizer& optimizer,
                     const TrainingData& data, const Teacher* teacher, int64_t eval_tokens) {
  TrainingState state = last.state();
  check(state.tokens_sha256 == data.sha256(), Exit::input, "the run of ", last.path(),
        " began with other tokens than those of ", data.name(), ": SHA-256 ", state.tokens_sha256, ", not ",
        data.sha256(), "; name the same file, or start a new run with train.init");
  check(state.teacher_sha256 == (teacher != nullptr ? teacher->sha256() : ""), Exit::input, "the run of ",
        last.path(), " began with ", state.teacher_sha256.empty() ? "no teacher" : "another teacher",
        " than train.teacher now names");
  if (last.config().get(train_options()).eval_tokens != eval_tokens) {
    std::printf("train.eval_tokens is another one: the best loss so far does not compare, it begins anew\n");
    state.best_loss = TrainingState().best_loss;
  }
  last.load_parameters(model);
  last.load_optimizer(optimizer);
  return state;
}

Exit train(const Config& given) {
  const auto command = given.get(train_command_options());
  check(!(command.resume && command.dry_run), Exit::usage, "--dry-run is for a new run, without --resume");
  if (command.dry_run) return dry_run(given);
  RunFolder folder(given.get(train_options()).out, folder_mode(command));
  Start start = command.resume ? go_on(given, folder) : start_anew(given);
  const auto data = open_training_data(start.config);
  const RunSetup setup = make_run_setup(start.config, *data);
  apply_run_options(setup.run);  // a resumed run's own
  const Device device = run_device(setup.run);
  set_product_precision(precision_of(setup.run.precision), device);
  const auto batches = make_batches(setup, *data);
  LanguageModel model(setup.model, setup.config,
                      {.device = device, .seed = static_cast<uint64_t>(setup.run.seed)});
  const auto optimizer = make_optimizer(setup.optim, model.parameters());
  std::optional<Teacher> teacher;
  if (!setup.train.teacher.empty()) teacher.emplace(setup, *data, model.context().device);
  const Teacher* guide = teacher ? &*teacher : nullptr;
  const TrainingState state =
      start.last ? resume(*start.last, model, *optimizer, *data, guide, setup.train.eval_tokens)
                 : begin(start.init.get(), model, *data, guide);
  start.last.reset();  // closes the file, which the run will replace
  start.init.reset();
  print_sizes(setup, model, *data, guide != nullptr ? guide->parameter_count() : 0);
  const auto steps = static_cast<long long>(state.step);
  if (command.resume)
    std::printf("resuming at step %lld, %s\n", steps, batches->progress(state.step).c_str());

  if (command.overwrite) folder.clear();  // not before everything that the new run needs is there
  const std::string config_text = format_config(setup.config, run_sections());
  write_file_atomically(folder.config().string(), config_text);
  const auto validate = [&] {
    return data->validation_loss(model, setup.data.seq_len, setup.train.batch_size, setup.train.eval_tokens);
  };
  const auto save = [&](const std::string& path, const TrainingState& now) {
    save_checkpoint(path, {model, *data->tokenizer(), config_text, optimizer.get(), now, start.gpt2_config});
  };
  const Schedule schedule = make_schedule(setup.optim, setup.train.max_steps);
  Trainer trainer(
      {model, make_objective(model, guide), *optimizer, schedule, *batches, folder, validate, save},
      setup.train, setup.optim.grad_clip, setup.run.seed, state);
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
