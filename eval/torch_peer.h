#pragma once

#include <string>

#include "eval/bench.h"

namespace tapestry {

/// What PyTorch needed for the work that bench() times.
struct TorchFigures {
  std::string version;
  double median = 0, fastest = 0;  // seconds
};

/// Runs eval/peers/torch_step.py, standard attention with learned positions, in the given shape, with as many
/// threads and in the precision of this process. `python` is an interpreter that has torch; Error(usage) if
/// the script does not run there.
TorchFigures bench_torch(const std::string& python, const ModelOptions& model, const StepShape& shape,
                         const BenchPlan& plan);

}  // namespace tapestry
