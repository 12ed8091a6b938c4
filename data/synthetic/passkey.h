#pragma once

#include "data/synthetic/task.h"

namespace tapestry {

/// `[passkey]`: a number hidden in filler text and asked for at the end (Mohtashami and Jaggi 2023, Landmark
/// attention). The tokens are those of the filler's tokenizer.
struct PasskeyOptions {
  int64_t digits = 5;
  double depth = -1;   // -1: another for each sequence
  std::string filler;  // token file; empty: random sentences of bytes
};
const OptionTable<PasskeyOptions>& passkey_options();

TaskKind passkey_task();

}  // namespace tapestry
