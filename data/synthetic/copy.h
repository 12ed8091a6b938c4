#pragma once

#include "data/synthetic/task.h"

namespace tapestry {

/// `[copy]`: random symbols, filler, a separator, and then the symbols again, which are the answer. Token 0
/// is the filler, 1 the separator.
struct CopyOptions {
  int64_t length = 16;
  int64_t symbols = 32;
  int64_t gap = -1;  // -1: another for each sequence
};
const OptionTable<CopyOptions>& copy_options();

TaskKind copy_task();

}  // namespace tapestry
