#pragma once

#include "data/synthetic/task.h"

namespace tapestry {

/// `[induction]`: among random symbols a trigger stands twice, the second time at the end; the answer is the
/// symbol that followed the first (Fu et al. 2022, Hungry Hungry Hippos). The trigger is token 0.
struct InductionOptions {
  int64_t symbols = 16;
  int64_t distance = 0;  // 0: another for each sequence
};
const OptionTable<InductionOptions>& induction_options();

TaskKind induction_task();

}  // namespace tapestry
