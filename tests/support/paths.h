#pragma once

#include <string>

namespace tapestry {

/// The project's folder, and the program under test. In a file of their own, so that the compiled tests are
/// the same wherever the project lies.
std::string source_folder();
std::string program_path();

}  // namespace tapestry
