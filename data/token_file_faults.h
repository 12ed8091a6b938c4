#pragma once

#include <string>

#include "base/fault_list.h"

namespace tapestry {

/// Checks a token file: hash, structure, ids, document starts, and that the tokenizer is the one it claims to
/// be. Adds everything that is wrong to `faults`.
void find_token_file_faults(const std::string& path, FaultList& faults);

}  // namespace tapestry
