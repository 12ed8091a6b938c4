#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "optim/token_mean.h"
#include "train/run_log.h"

namespace tapestry {

/// Where a run stands, beyond weights and optimizer. Batches, learning rate and dropout are functions of
/// (seed, step), so there is no random state and no cursor to keep.
struct TrainingState {
  int64_t step = 0;                                            // optimizer steps done
  int64_t tokens = 0;                                          // tokens trained on
  double best_loss = std::numeric_limits<double>::infinity();  // lowest validation loss
  int64_t best_step = 0;
  double grad_norm = 0;              // of the last step
  bool unfinished = true;            // the last step, or the start, is not yet validated and logged
  TokenMean since_log = {};          // training loss since the last logged step
  double seconds = 0;                // time spent, over all starts
  std::string tokens_sha256 = {};    // content of the token file; empty for weights of no run
  std::string teacher_sha256 = {};   // weights of the teacher; empty without one
  std::vector<LogRow> history = {};  // the logged steps
};

}  // namespace tapestry
