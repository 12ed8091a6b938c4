#pragma once

#include <string>

#include "base/error.h"

namespace tapestry {

/// The files that `inspect` and `verify` know.
enum class ModelFile { checkpoint, tokens, safetensors };

/// What the file says it is. Safetensors go by their name, and may be a folder or an index of shards; what is
/// none of the three is an Error(input).
ModelFile kind_of_file(const std::string& path);
/// "checkpoint", "token file", "safetensors"
std::string name_of(ModelFile kind);
/// What a fault of such a file leads to.
Exit exit_of(ModelFile kind);

}  // namespace tapestry
