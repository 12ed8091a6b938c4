#pragma once

#include "base/command.h"

namespace tapestry {

Command bench_command();
Command compare_command();
Command eval_command();
Command generate_command();

}  // namespace tapestry
