#pragma once

#include <string>

#include "base/fault_list.h"

namespace tapestry {

/// Checks a checkpoint: hash, structure, config, names and shapes against the model that the config
/// describes, finiteness, optimizer, state, history, tokenizer. Adds everything that is wrong to `faults`.
void find_checkpoint_faults(const std::string& path, FaultList& faults);

}  // namespace tapestry
