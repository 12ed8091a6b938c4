#pragma once

#include <string>
#include <vector>

#include "base/command.h"

namespace tapestry {

/// What `tapestry help` prints: the verbs, one line each.
std::string program_help(const std::vector<Command>& commands);

/// What `tapestry <verb> --help` prints: every section and key with kind, default, range and meaning.
std::string command_help(const Command& command);

}  // namespace tapestry
