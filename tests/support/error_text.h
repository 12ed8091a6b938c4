#pragma once

#include <string>

#include "base/error.h"

namespace tapestry::test {

/// The message of the Error with `exit` that `run` throws; "no error" or "exit N: ..." otherwise.
template <class Run>
std::string error_text(Exit exit, const Run& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.exit() == exit ? error.what()
                                : join("exit ", static_cast<int>(error.exit()), ": ", error.what());
  }
  return "no error";
}

}  // namespace tapestry::test
