#include "train/file_kind.h"

#include <filesystem>

#include "data/token_file.h"
#include "train/checkpoint.h"
#include "train/state_file.h"

namespace tapestry {

ModelFile kind_of_file(const std::string& path) {
  if (std::filesystem::is_directory(path) || path.ends_with(".safetensors") || path.ends_with(".index.json"))
    return ModelFile::safetensors;
  check(has_verified_magic(path), Exit::input, "'", path,
        "' is no checkpoint, token file, decoding state or safetensors file of this program: it starts with "
        "other bytes");
  const std::string kind = read_verified_header(path, Exit::input).kind;
  for (const ModelFile known : {ModelFile::checkpoint, ModelFile::tokens, ModelFile::state})
    if (kind == name_of(known)) return known;
  fail(Exit::input, "'", path, "' is a ", kind, ", which this program does not know; use a newer program");
}

std::string name_of(ModelFile kind) {
  if (kind == ModelFile::safetensors) return "safetensors";
  if (kind == ModelFile::state) return kStateFile.name;
  return kind == ModelFile::tokens ? kTokenFile.name : kCheckpointFile.name;
}

Exit exit_of(ModelFile kind) { return kind == ModelFile::checkpoint ? Exit::checkpoint : Exit::input; }

}  // namespace tapestry
