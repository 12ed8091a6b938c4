#pragma once

#include <cstdint>
#include <string>

#include "base/options.h"

namespace tapestry {

/// Section [train].
struct TrainOptions {
  int64_t max_steps = 1000;
  int64_t batch_size = 8;  // sequences of a micro-batch
  int64_t grad_accum = 1;  // micro-batches of an optimizer step
  int64_t log_every = 10;
  int64_t eval_every = 250;
  int64_t eval_tokens = 0;  // 0: the whole validation split
  int64_t checkpoint_every = 250;
  int64_t keep = 2;
  std::string out = "runs/default";
  std::string init;
  std::string recompute = "none";
  std::string teacher;
  double teacher_weight = 0.5;
  double temperature = 1;
  double match_attention = 0;
};

/// The verb's own keys.
struct TrainCommandOptions {
  bool resume = false;
  bool overwrite = false;
  bool dry_run = false;
};

const OptionTable<TrainOptions>& train_options();
const OptionTable<TrainCommandOptions>& train_command_options();

}  // namespace tapestry
