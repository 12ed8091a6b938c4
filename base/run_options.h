#pragma once

#include "base/options.h"

namespace tapestry {

/// `[run]`, read by every verb.
struct RunOptions {
  std::string device = "cpu";
  std::string precision = "float32";
  int64_t threads = 0;
  int64_t seed = 1337;
};

const OptionTable<RunOptions>& run_options();

/// Sets the number of threads that parallel loops use. The program does it before it runs a verb.
void apply_run_options(const RunOptions& options);

}  // namespace tapestry
