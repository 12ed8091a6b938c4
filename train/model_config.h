#pragma once

#include <vector>

#include "base/options.h"

namespace tapestry {

/// The sections that describe a model: [model] and those of all attentions.
std::vector<const OptionSection*> model_sections();
/// Those and [data] with the tasks, [optim], [train], [run]: what the config of a run or checkpoint may hold.
std::vector<const OptionSection*> run_sections();
/// The same config with every default in its place, as a resolved config.ini has it.
Config spelled_out(const Config& config);

}  // namespace tapestry
