#include "eval/task_eval.h"

#include "base/progress.h"
#include "base/signals.h"
#include "data/data_options.h"
#include "data/synthetic/task_batches.h"
#include "eval/keys_read.h"
#include "eval/task_accuracy.h"
#include "train/model_source.h"
#include "train/run_device.h"

namespace tapestry {
namespace {

/// The checkpoint's config with the given options of tasks over it.
Config task_config(const Config& given, Config config) {
  for (const OptionSection* section : task_sections()) {
    for (const Option& option : section->options) {
      const std::string key = section->name + "." + option.name;
      if (const Config::Value* value = given.find(key)) config.set(key, value->text, value->source);
    }
  }
  return config;
}

std::vector<ScoredAnswer> answers_to(const SyntheticTask& task, const LanguageModel& model, int64_t sequences,
                                     int64_t batch_size) {
  Progress progress("eval", sequences, "sequences");
  std::vector<ScoredAnswer> answers;
  for (int64_t first = 0; first < sequences; first += batch_size) {
    const auto examples = held_out_examples(task, first, std::min(batch_size, sequences - first));
    const auto more = score_answers(model, examples);
    answers.insert(answers.end(), more.begin(), more.end());
    progress.update(first + std::ssize(examples));
    throw_if_stop_requested();
  }
  progress.finish();
  return answers;
}

}  // namespace

const OptionTable<TaskEvalOptions>& task_eval_options() {
  using E = TaskEvalOptions;
  static const auto table =
      OptionTable<E>("", "eval on a task")
          .add("task", &E::task, "in place of a token file; empty: the task that the model was trained on")
          .add("sequences", &E::sequences, "held-out sequences of the task", at_least(1))
          .add("by-distance", &E::by_distance, "rows of the table of exact matches by distance", at_least(1));
  return table;
}

Exit eval_task(const Config& given, const EvalSubject& subject, const ReportOptions& report_to) {
  const auto options = given.get(task_eval_options());
  const LoadedModel loaded = load_any_model(subject.checkpoint, run_device(given.get(run_options())));
  const Config config = task_config(given, loaded.config);
  const auto trained = config.get(data_options());
  const std::string name = options.task.empty() ? trained.task : options.task;
  check(!name.empty(), Exit::usage, "eval needs --tokens or --task: ", subject.checkpoint,
        " was not trained on a task");
  const int64_t seq_len = subject.seq_len > 0 ? subject.seq_len : trained.seq_len;
  const auto task = find_task(name).make(config, seq_len);
  const std::string used = task->tokenizer()->identity(), known = loaded.tokenizer->identity();
  check(used == known, Exit::input, "task ", name, " was made with the tokenizer ", used, ", ",
        subject.checkpoint, " with ", known);
  const auto answers = answers_to(*task, *loaded.model, options.sequences, subject.batch_size);
  Report report;
  report.add("checkpoint", subject.checkpoint).add("task", name).add("seq_len", seq_len);
  report.add("sequences", options.sequences);
  if (const auto share = keys_read_share(loaded.config, seq_len)) report.add("keys_read_share", *share);
  add_accuracy(report, answers, options.by_distance);
  report.write(report_to);
  return Exit::done;
}

}  // namespace tapestry
