#pragma once

#include <string>

#include "base/error.h"

namespace tapestry {

/// The files that `inspect` and `verify` know.
enum class ModelFile { checkpoint, tokens, state, safetensors };

/// What the file says it is. Safetensors go by their name, and may be a folder or an index of shards; what is
/// none of them is an Error(input).
ModelFile kind_of_file(const std::string& path);
/// "checkpoint", "token file", "decoding state", "safetensors"
std::string name_of(ModelFile kind);
/// What a fault of such a file leads to.
Exit exit_of(ModelFile kind);

}  // namespace tapestry
