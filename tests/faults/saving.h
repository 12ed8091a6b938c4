#pragma once

#include <string>

#include "tests/support/shell.h"
#include "train/checkpoint_faults.h"

namespace tapestry::test {

/// The command line of the program that saves; see save_loop.cpp.
inline std::string save_loop(const std::string& mode, const std::string& path, int64_t saves, int64_t width) {
  return join(SAVE_LOOP, " ", mode, " ", path, " ", saves, " ", width);
}

/// What is wrong with a checkpoint, in one text; empty if nothing.
inline std::string faults_of(const std::string& path) {
  FaultList faults;
  find_checkpoint_faults(path, faults);
  std::string all;
  for (const std::string& line : faults.lines()) all += line + "\n";
  return all;
}

}  // namespace tapestry::test
