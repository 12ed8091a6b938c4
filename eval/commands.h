#pragma once

#include "base/command.h"

namespace tapestry {

Command eval_command();
Command generate_command();

}  // namespace tapestry
