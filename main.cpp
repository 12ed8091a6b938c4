#include "autograd/precision.h"
#include "base/program.h"
#include "data/commands.h"
#include "eval/commands.h"
#include "train/commands.h"

int main(int argc, char** argv) {
  using namespace tapestry;
  return run_program(
      argc, argv,
      {prepare_command(), train_command(), convert_command(), eval_command(), generate_command(),
       bench_command(), compare_command(), inspect_command(), verify_command()},
      [](const RunOptions& run) {
        apply_run_options(run);
        set_product_precision(precision_of(run.precision),
                              run.device == "cuda" ? Device::cuda() : Device::cpu());
      });
}
