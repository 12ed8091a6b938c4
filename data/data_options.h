#pragma once

#include <cstdint>
#include <string>

#include "base/options.h"

namespace tapestry {

/// `[data]`
struct DataOptions {
  std::string tokens;
  int64_t seq_len = 1024;
  std::string task;
  int64_t held_out = 256;  // sequences of a task's validation set
};

const OptionTable<DataOptions>& data_options();

}  // namespace tapestry
