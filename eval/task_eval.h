#pragma once

#include <string>

#include "base/report.h"

namespace tapestry {

/// What `eval` takes for a task beside the options of the task itself.
struct TaskEvalOptions {
  std::string task;  // empty: the one that the model was trained on
  int64_t sequences = 256;
  int64_t by_distance = 8;
};
const OptionTable<TaskEvalOptions>& task_eval_options();

/// What it shares with a token file; seq_len 0 is the length that the model was trained with.
struct EvalSubject {
  std::string checkpoint;
  int64_t seq_len = 0, batch_size = 4;
};

/// Reports the answers to the held-out sequences of a task. Its options are those that the model was trained
/// with, and over them those of `given`.
Exit eval_task(const Config& given, const EvalSubject& subject, const ReportOptions& report_to);

}  // namespace tapestry
