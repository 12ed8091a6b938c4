#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "eval/step_flops.h"
#include "optim/optim_options.h"

namespace tapestry {

/// What is measured, how often.
struct BenchPlan {
  int64_t warmup = 1;  // at least 1: memory is measured there
  int64_t repeats = 5;
  uint64_t seed = 0;
  Device device = Device::cpu();
  bool recompute = false;
  OptimOptions optim = {};
  std::function<void()> after_run = {};  // called after every run, warm-up included
};

/// Of several runs of the same work, in seconds.
struct Timing {
  double median = 0;
  double fastest = 0;
  double processor = 0;  // median of the time on processors, added up over threads
};

/// The figures of one model at one shape. A run is a forward pass to the
/// loss or, in training, a whole step: forward, backward, clipping, update.
struct BenchFigures {
  Timing run;
  Timing products;                  // the linear layers' products alone, run after every repeat
  int64_t page_faults = 0;          // of the repeats' median run
  int64_t peak_bytes = 0;           // most pool memory in use: weights, gradients, optimizer, run
  int64_t run_bytes = 0;            // of those, what is free again after the run
  int64_t saved_bytes = 0;          // what the tape holds after forward
  int64_t peak_resident_bytes = 0;  // of the process
  double product_flops = 0;         // of the linear layers
  double attention_flops = 0;       // of the attentions' cores

  /// The rate of the run's multiplications as a share of that of the bare products, by one of their times:
  /// `median` where the machine is free, `processor` where others use it too, and threads wait for them.
  double gemm_share(double Timing::*time = &Timing::median) const;
};

BenchFigures bench(const ModelOptions& model, const Config& config, const StepShape& shape,
                   const BenchPlan& plan);

double median(std::vector<double> values);

/// The slope of log y over log x by least squares: y ~ x^slope. NaN with fewer than two different x.
double fitted_exponent(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace tapestry
