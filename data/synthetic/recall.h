#pragma once

#include "data/synthetic/task.h"

namespace tapestry {

/// `[recall]`: multi-query associative recall (Arora et al. 2023, Zoology). Pairs of a key and a value are
/// spread over filler; each key comes again, and the value that followed it is the answer, and follows it
/// there too. Token ids: filler [0, fillers), then keys, then values. The distances to the first question are
/// about uniform.
struct RecallOptions {
  int64_t pairs = 16;
  int64_t keys = 64;
  int64_t values = 64;
  int64_t fillers = 16;
  int64_t gap = 2;    // least distance
  int64_t asked = 1;  // questions for each key, at most
};
const OptionTable<RecallOptions>& recall_options();

TaskKind recall_task();

}  // namespace tapestry
