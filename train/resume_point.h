#pragma once

#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace tapestry {

/// The checkpoint that a run goes on from: last.h5; where it is missing or damaged, the newest numbered one
/// that is whole, else best.h5, after a line on standard error. Error(checkpoint) if none is left.
Checkpoint open_resume_point(const RunFolder& folder);

}  // namespace tapestry
