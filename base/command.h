#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/options.h"

namespace tapestry {

/// A verb of the program. `<verb>_command.cpp` in the verb's folder exports a function that returns it;
/// main.cpp lists them all.
struct Command {
  std::string name;
  std::string summary;                         // one line for `tapestry help`
  std::vector<const OptionSection*> sections;  // every section it reads, its own first
  std::function<Exit(const Config&)> run;
};

}  // namespace tapestry
