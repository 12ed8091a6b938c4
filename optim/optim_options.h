#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/violations.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace tapestry {

/// Section [optim]. The defaults are nanoGPT's for GPT-2 of 124M parameters, with two exceptions that keep
/// any change of learning_rate or max_steps valid: the rate falls to 0, not to a tenth, and the warmup fits
/// the run.
struct OptimOptions {
  std::string optimizer = "adamw";
  double learning_rate = 6e-4;
  double min_lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  bool decay_vectors = false;
  double momentum = 0.9;
  double dampening = 0;
  bool nesterov = false;
  double grad_clip = 1;
  std::string schedule = "cosine";
  int64_t warmup_steps = -1;
  double decay_fraction = 0.2;
  std::vector<std::string> freeze = {};
  std::vector<std::string> rates = {};
};

const OptionTable<OptimOptions>& optim_options();

/// What no single key shows: keys that contradict each other or the length of the run.
void check_optim(const OptimOptions& options, int64_t max_steps, Violations& violations);

/// Throws Error(usage) with every violation of check_optim.
Schedule make_schedule(const OptimOptions& options, int64_t max_steps);
/// For all parameters but those of optim.freeze, which are frozen. Patterns that fit no parameter are an
/// Error(usage).
std::unique_ptr<Optimizer> make_optimizer(const OptimOptions& options,
                                          std::vector<NamedParameter> parameters);

}  // namespace tapestry
