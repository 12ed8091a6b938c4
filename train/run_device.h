#pragma once

#include "autograd/device.h"
#include "base/run_options.h"

namespace tapestry {

/// Where the tensors of a run lie. Error(memory) that says why when `run.device` cannot be had; a program
/// with CUDA kernels that finds no device for them says in one line on standard error that it runs on the
/// CPU.
Device run_device(const RunOptions& options);

}  // namespace tapestry
