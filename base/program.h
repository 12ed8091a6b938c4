#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/run_options.h"

namespace tapestry {

/// The whole of main: prepares the process (idle threads that sleep, signals, standard streams), runs the
/// verb and returns the exit status. Call it first in main, with what main was given. `prepare` makes the
/// `[run]` section come true before a verb runs.
using Prepare = std::function<void(const RunOptions&)>;
int run_program(int argc, char** argv, const std::vector<Command>& commands,
                const Prepare& prepare = apply_run_options);

/// Runs `words` ("train", "--config", "run.ini") and returns the exit status; errors become one message on
/// standard error. Every verb also takes `--config FILE`, `--help`, `--print-config` and the `[run]` section.
int dispatch(const std::vector<std::string>& words, const std::vector<Command>& commands,
             const Prepare& prepare = apply_run_options);

}  // namespace tapestry
