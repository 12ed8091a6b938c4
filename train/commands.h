#pragma once

#include "base/command.h"

namespace tapestry {

Command train_command();

}  // namespace tapestry
