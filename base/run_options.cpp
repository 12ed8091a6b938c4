#include "base/run_options.h"

#include <omp.h>

#include "base/resources.h"

namespace tapestry {

const OptionTable<RunOptions>& run_options() {
  static const auto table =
      OptionTable<RunOptions>("run", "How to compute")
          .add("device", &RunOptions::device, "where tensors live", one_of({"cpu", "cuda"}))
          .add("precision", &RunOptions::precision,
               "what the operands of matrix products are rounded to; sums, weights and everything else are "
               "float32; tf32 on cuda only",
               one_of({"float32", "tf32", "bf16"}))
          .add("threads", &RunOptions::threads, "threads of the CPU, 0 for every core it may use",
               between(0, 1024))
          .add("seed", &RunOptions::seed, "seed of every random number", at_least(0));
  return table;
}

void apply_run_options(const RunOptions& options) {
  omp_set_dynamic(0);
  omp_set_num_threads(static_cast<int>(options.threads > 0 ? options.threads : available_cores()));
}

}  // namespace tapestry
