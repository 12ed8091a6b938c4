#pragma once

#include "base/command.h"

namespace tapestry {

Command inspect_command();
Command train_command();
Command verify_command();
Command convert_command();

}  // namespace tapestry
