#pragma once

#include "data/synthetic/task.h"
#include "train/training_data.h"

namespace tapestry {

/// The task data.task with its options; nothing comes from a file but passkey's filler.
std::unique_ptr<TrainingData> make_task_data(const Config& config);

}  // namespace tapestry
