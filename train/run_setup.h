#pragma once

#include <memory>
#include <optional>

#include "base/run_options.h"
#include "data/data_options.h"
#include "layers/model_options.h"
#include "optim/optim_options.h"
#include "train/checkpoint.h"
#include "train/train_options.h"
#include "train/training_data.h"

namespace tapestry {

/// The options of a run, with what the data decides filled in.
struct RunSetup {
  Config config;  // resolved: what config.ini and the checkpoints hold
  ModelOptions model;
  DataOptions data;
  OptimOptions optim;
  TrainOptions train;
  RunOptions run;
};

/// Throws Error(usage) that lists all options which do not fit together, Error(input) for data with another
/// vocabulary.
RunSetup make_run_setup(const Config& config, const TrainingData& data);

/// The config of a resumed run: its own, with `given` over it where that cannot change the model, the data or
/// the steps already done. Anything else that differs is an Error(usage).
Config resumed_config(const Config& given, const Checkpoint& checkpoint);

}  // namespace tapestry
