#pragma once

#include "base/command.h"

namespace tapestry {

Command prepare_command();

}  // namespace tapestry
