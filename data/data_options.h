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
};

const OptionTable<DataOptions>& data_options();

}  // namespace tapestry
