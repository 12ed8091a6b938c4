#include "tests/support/paths.h"

namespace tapestry {

std::string source_folder() { return TAPESTRY_SOURCE_DIR; }
std::string program_path() { return TAPESTRY_PROGRAM; }

}  // namespace tapestry
