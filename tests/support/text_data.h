#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/paths.h"

namespace tapestry {

/// The path of a text or vocabulary file that the project does not carry; empty where it is missing, and the
/// test skips itself. The environment's TAPESTRY_DATA names the folder.
inline std::string text_data(const std::string& name) {
  const char* folder = std::getenv("TAPESTRY_DATA");
  const std::string path = (folder ? std::string(folder) : source_folder() + "/../shared/data") + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace tapestry

#define SKIP_WITHOUT(path, name) \
  if ((path).empty()) GTEST_SKIP() << "no " << (name) << " in the folder that TAPESTRY_DATA names"
